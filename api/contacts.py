"""Where I am reached, and what I want there: seen, corrected and taken back by oneself."""

from datetime import time
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.status import HTTP_204_NO_CONTENT

from api.actor import EngineOf, PersonOf
from api.deliveries import Channel
from api.schemas import Body
from engine.clock import local_day
from engine.errors import InvalidData, Sentence

router = APIRouter(tags=["contacts"])


OwnChannel = Literal["email", "zalo_zbs"]
"""Where a person enters the address: a chat is linked by its code, so that nobody claims another's;
user ids and addresses of services are an administrator's, since the server calls them."""


class ContactBody(Body):
    """An address, entered by its person: that is the consent."""

    address: str = Field(max_length=500, examples=["0987654321"])


class Unwanted(Body):
    """One kind of message not wanted on one channel."""

    section: Literal["urgent", "overdue", "quarter", "due", "waiting", "news", "settled"]
    channel: Channel


class WishesBody(Body):
    """What is not wanted where; quiet hours in the time of Vietnam."""

    off: list[Unwanted] = Field(default_factory=list, max_length=50)
    quiet_from: time | None = None
    quiet_until: time | None = None


@router.get("/people/me/contacts")
def list_contacts(engine: EngineOf, person: PersonOf) -> list[dict[str, Any]]:
    """Return one's own addresses, what each is kept for and on which basis."""
    return [
        {
            "channel": c.channel,
            "address": c.address,
            "state": c.state,
            "purpose": c.purpose,
            "basis": c.basis,
            "consented_on": c.consented_on,
            "changed_at": c.changed_at,
        }
        for c in engine.contacts.listed(person.id, whole=True)
    ]


@router.put("/people/me/contacts/{channel}", status_code=HTTP_204_NO_CONTENT)
def set_contact(engine: EngineOf, person: PersonOf, channel: OwnChannel, body: ContactBody) -> None:
    """Enter or correct one's own address on a channel."""
    engine.contacts.set(person.id, channel, body.address, local_day(engine.clock.now()))


@router.delete("/people/me/contacts/{channel}")
def withdraw_contact(engine: EngineOf, person: PersonOf, channel: Channel) -> dict[str, int]:
    """Take one's address back; it is erased and nothing more goes there."""
    return {"erased": engine.contacts.withdraw(person.id, [channel])}


@router.post("/people/me/zalo-code")
def zalo_code(engine: EngineOf, person: PersonOf) -> dict[str, Any]:
    """Return a code of six digits to send to the bot: it links the chat it comes from."""
    code, expires_at = engine.contacts.link_code(person.id)
    return {"code": code, "expires_at": expires_at}


@router.get("/people/me/wishes")
def show_wishes(engine: EngineOf, person: PersonOf) -> dict[str, Any]:
    """Return what is not wanted where, and the quiet hours."""
    wishes = engine.contacts.wishes(person.id)
    begins, ends = wishes.quiet or (None, None)
    return {
        "off": [{"section": s, "channel": c} for s, c in sorted(wishes.off)],
        "quiet_from": begins,
        "quiet_until": ends,
    }


@router.put("/people/me/wishes", status_code=HTTP_204_NO_CONTENT)
def change_wishes(engine: EngineOf, person: PersonOf, body: WishesBody) -> None:
    """Say what is not wanted where; what is overdue stays on by e-mail."""
    engine.contacts.wish(person.id, [(u.section, u.channel) for u in body.off], _quiet(body))


def _quiet(body: WishesBody) -> tuple[time, time] | None:
    """Return the quiet hours asked for.

    Raises:
        InvalidData: One of the two times is missing, or they are of another zone.
    """
    match body.quiet_from, body.quiet_until:
        case None, None:
            return None
        case time(tzinfo=None) as begins, time(tzinfo=None) as ends:
            return begins, ends
    raise InvalidData(
        {
            "quiet": Sentence(
                "cần cả hai giờ, theo giờ Việt Nam, không kèm múi giờ (ví dụ 12:00 và 13:30)",
                "needs both times, in the time of Vietnam and without a zone (12:00 and 13:30)",
            )
        }
    )
