"""The Apprise assembly, and how an outcome comes out of it.

Apprise says yes or no; a reminder needs to know whether a second attempt would be a second
message. So a plugin of ours keeps its own `outcome`, and Apprise's answer only starts it.
"""

from dataclasses import replace
from typing import Any

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat

from engine.addresses import mask_text
from engine.channels import Outcome, OutcomeState
from notifications.secrets import without

# One message, in the caller's thread, once, to where it was addressed. The asset of the instance
# decides, not that of Apprise (seen in 1.13.1), so both get it.
ASSET = AppriseAsset(async_mode=False, default_service_retry=0, http_redirects=False)


class Channel(NotifyBase):  # type: ignore[misc]  # Apprise has no types
    """A plugin whose `send` says what it learned in `outcome`."""

    request_rate_per_sec = 0  # one message an instance: nothing to throttle

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(asset=ASSET, **kwargs)
        self.outcome: Outcome | None = None
        self.private: tuple[str, ...] = ()
        """What the words of an answer must not carry on: our secrets, a person's address."""

    def attempt(self, body: str, title: str) -> Outcome:
        """Send, and return what is known of it."""
        raise NotImplementedError

    def send(self, body: str, title: str = "", **_: Any) -> bool:
        """Send as Apprise asks; the truth is in `outcome`."""
        made = self.attempt(body, title)
        self.outcome = replace(
            made,
            code=without(made.code, *self.private),
            text=mask_text(without(made.text, *self.private)),
        )
        return self.outcome.state is OutcomeState.ACCEPTED

    def url(self, *_: Any, **__: Any) -> str:
        """Return an address that tells nothing: instances are never made from addresses."""
        return f"{self.protocol}://"


def dispatch(channel: Channel, body: str, title: str) -> Outcome:
    """Send one message through Apprise and return its outcome; nothing learned is `unknown`."""
    dispatcher = Apprise(asset=ASSET)
    dispatcher.add(channel)
    dispatcher.notify(body=body, title=title, body_format=NotifyFormat.TEXT)
    return channel.outcome or Outcome(
        OutcomeState.UNKNOWN, "no-outcome", "the channel stopped without saying what happened"
    )
