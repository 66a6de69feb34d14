"""How a message is worded, cleaned and fitted; `notifications.render` puts it together."""
