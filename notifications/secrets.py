"""Keeping tokens out of logs."""

import logging
import re

_PATTERNS = (
    (re.compile(r"bot\d*:?[\w-]{8,}(?=/)"), "bot***"),
    (re.compile(r"((?:access|refresh)_token|secret_key)([\"'=: ]+)[^\s\"'&,}]+"), r"\1\2***"),
)


class MaskSecrets(logging.Filter):
    """Replace whatever looks like a token in a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, masked."""
        text = record.getMessage()
        masked = text
        for pattern, replacement in _PATTERNS:
            masked = pattern.sub(replacement, masked)
        if masked != text:
            record.msg, record.args = masked, None
        return True


def protect_logs() -> None:
    """Mask every record of every handler; keep the talkative libraries at INFO."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(f, MaskSecrets) for f in handler.filters):
            handler.addFilter(MaskSecrets())
