"""Our own Apprise plugins: one instance is one recipient and one message."""
