"""Text of any origin made safe to print, measured and cut as mail and Zalo need it.

Everything is cleaned before it meets a template and nothing is normalised afterwards: composed
with a combining U+0338, the `>` of a tag would become another character.
"""

import unicodedata
from dataclasses import replace

from notifications.domain import Digest, DigestItem, Notice

_HIDDEN = frozenset({"Cf", "Cs", "Co", "Cn"})
"""Formats (zero width, bidirectional overrides), surrogates, private, unassigned."""


def clean(text: str) -> str:
    """Return text on one line, NFC, with nothing in it that is invisible or acts on its neighbours.

    Control characters and line breaks become spaces. Combining marks at the beginning go, too:
    they would join what stands before the text.
    """
    shown = text
    if not text.isprintable():  # nearly every text is, and a quarter has hundreds
        shown = "".join(
            " " if unicodedata.category(c) == "Cc" else c
            for c in text
            if unicodedata.category(c) not in _HIDDEN
        )
    words = " ".join(unicodedata.normalize("NFC", shown).split())
    while words and unicodedata.category(words[0]).startswith("M"):
        words = words[1:].lstrip()
    return words


def clean_item(item: DigestItem) -> DigestItem:
    """Return an item whose texts are clean."""
    return replace(
        item,
        plan_number=clean(item.plan_number),
        title=clean(item.title),
        lead_name=clean(item.lead_name),
        note=clean(item.note),
        state_label=clean(item.state_label),
        url=clean(item.url),
    )


def clean_digest(digest: Digest) -> Digest:
    """Return a digest whose texts are clean."""
    return replace(
        digest,
        recipient_name=clean(digest.recipient_name),
        agency_names=tuple(clean(name) for name in digest.agency_names),
        url=clean(digest.url),
        items=tuple(clean_item(item) for item in digest.items),
    )


def clean_notice(notice: Notice) -> Notice:
    """Return a notice whose texts are clean."""
    return replace(
        notice,
        recipient_name=clean(notice.recipient_name),
        gateway=clean(notice.gateway),
        reason=clean(notice.reason),
        url=clean(notice.url),
    )


def size(text: str) -> int:
    """Return the length of text in UTF-16 code units: never less than its characters.

    Zalo gives its limit in characters and its offsets in UTF-16 units (reference of the Bot
    Platform); which of the two the limit counts is not confirmed, so the larger one is used.
    """
    return len(text.encode("utf-16-le")) // 2


def short(text: str, limit: int) -> str:
    """Return text of a size of at most `limit`, cut at a word where there is one, ending in `…`."""
    if size(text) <= limit:
        return text
    kept = text[: limit - 1]
    while size(kept) > limit - 1:
        kept = kept[:-1]
    word = kept.rpartition(" ")[0]
    # A text without spaces, or one that would lose more than half of it, is cut in the word.
    kept = word if size(word) * 2 > limit else kept
    return kept.rstrip(" ,;:–-") + "…"
