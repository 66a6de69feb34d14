"""What Zalo's error codes mean for us: one table from code to class, and from class to outcome.

The meanings of the codes come from Zalo's tables as quoted by others (ZNS: guidelines
"handle-error-code"; OA: the table of the OpenAPI); the classes are our reading of them. The real
service was not called.
"""

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from engine.channels import Outcome, OutcomeState
from engine.clock import ZONE, at, local_day

log = logging.getLogger(__name__)

NIGHT_ENDS_HOUR = 6
"""Zalo delivers nothing to people from 22:00 to 06:00 in Vietnam."""


class Api(StrEnum):
    """Which of Zalo's interfaces answered."""

    ZNS = "zns"  # business.openapi.zalo.me: templates to a phone
    OA = "oa"  # openapi.zalo.me: templates and texts to a user id
    BOT = "bot"  # the Bot Platform


class Kind(StrEnum):
    """What a refusal is about."""

    TOKEN = "token"  # noqa: S105  the access token: to be renewed once, and the message repeated once
    CONFIGURATION = "configuration"
    RECIPIENT = "recipient"
    PAYLOAD = "payload"
    LATER = "later"
    NIGHT = "night"
    TODAY = "today"  # the quota of the day is used up
    DOUBTFUL = "doubtful"


STATES: Mapping[Kind, OutcomeState] = {
    # Whoever can renew the token does so first; whoever cannot is not set up right.
    Kind.TOKEN: OutcomeState.PARKED,
    Kind.CONFIGURATION: OutcomeState.PARKED,
    Kind.RECIPIENT: OutcomeState.FAILED,
    Kind.PAYLOAD: OutcomeState.REJECTED,
    Kind.LATER: OutcomeState.RETRY,
    Kind.NIGHT: OutcomeState.RETRY,
    Kind.TODAY: OutcomeState.RETRY,
    Kind.DOUBTFUL: OutcomeState.UNKNOWN,
}

_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)

_CLASSES: Mapping[Kind, str] = {
    Kind.TOKEN: "-124 -216 -220",
    # -1241 and -242: a wrong appsecret_proof, which we do not send: the app demands one.
    Kind.CONFIGURATION: """
        -101 -102 -103 -104 -105 -115 -117 -120 -125 -126 -127 -131 -135 -1351 -136 -137 -138 -1381
        -145 -146 -204 -205 -209 -212 -219 -221 -223 -224 -235 -240 -242 -1241 -320 -321
    """,
    Kind.RECIPIENT: "-108 -110 -114 -118 -119 -139 -140 -141 -213 -227 -230 -232 -244",
    Kind.PAYLOAD: """
        -106 -107 -109 -111 -112 -1121 -1122 -1124 -113 -1131 -116 -121 -122 -130 -132 -153 -161
        -201 -210 -248 -249
    """,
    Kind.LATER: "-32 -1471 -211 -218",
    Kind.NIGHT: "-133 -234",
    Kind.TODAY: "-144 -147",
    Kind.DOUBTFUL: "-100 -200",
}

_OPEN_API: Mapping[str, Kind] = {
    code: kind for kind, codes in _CLASSES.items() for code in codes.split()
}
# The OA API says -100 where an attachment has expired: what we sent was wrong. ZNS says it where
# it does not know itself.
_OA: Mapping[str, Kind] = {**_OPEN_API, "-100": Kind.PAYLOAD}

# No full table of the Bot Platform is public: which code means what is a guess from its users.
_BOT: Mapping[str, Kind] = {
    "400": Kind.PAYLOAD,
    "401": Kind.TOKEN,
    "403": Kind.RECIPIENT,
    "404": Kind.RECIPIENT,
    "408": Kind.DOUBTFUL,
    "429": Kind.LATER,
}

TABLES: Mapping[Api, Mapping[str, Kind]] = {Api.ZNS: _OPEN_API, Api.OA: _OA, Api.BOT: _BOT}


def kind_of(api: Api, code: object, text: str = "") -> Kind | None:
    """Return the class of a code, given as a number or a text; None where it is in no table."""
    kind = TABLES[api].get(str(code).strip())
    # Guess: a 400 that speaks of the chat is about the chat, any other about what we wrote.
    if api is Api.BOT and kind is Kind.PAYLOAD and "chat" in text.lower():
        return Kind.RECIPIENT
    return kind


def refusal(
    api: Api,
    code: object,
    text: str,
    moment: datetime,
    retry_after_seconds: float | None = None,
) -> Outcome:
    """Return the outcome of an answer that says no.

    Args:
        api: Who answered.
        code: The error code, a number or a text; 0 is not one.
        text: What the answer says beside it.
        moment: When it was given; night codes wait from here to 06:00 in `ZONE`.
        retry_after_seconds: What the answer's Retry-After asks for.
    """
    kind = kind_of(api, code, text)
    shown = str(code).strip()
    if not _NUMBER.fullmatch(shown):
        shown = "no-number"
    if kind is None:
        # Without its words: they may repeat what was sent. The delivery keeps them, masked.
        log.error("Zalo (%s) answered with a code of no known class: %s", api, shown)
        kind = Kind.DOUBTFUL
    wish = retry_after_seconds
    if kind is Kind.NIGHT:
        wish = _until(moment, NIGHT_ENDS_HOUR)
    elif kind is Kind.TODAY:
        wish = _until(moment, 0)  # guess: the quota of a day begins with the day
    elif kind is not Kind.LATER:
        wish = None
    return Outcome(STATES[kind], shown, text, retry_after_seconds=wish)


def text_of(value: Any) -> str:
    """Return an answer's own words, whatever they came as, short enough to keep."""
    return str(value)[:500] if value is not None else ""


def _until(moment: datetime, hour: int) -> float:
    """Return the seconds to the next `hour` o'clock in `ZONE`."""
    opens = at(local_day(moment), hour)
    if moment.astimezone(ZONE).hour >= hour:
        opens += timedelta(days=1)
    return (opens - moment).total_seconds()
