"""Canonical form and hash of an event, and the root over a day of them.

The canonical form is JSON with sorted keys and no spaces, UTF-8, moments as ISO 8601 in UTC
with microseconds. Whole numbers, texts, booleans, null, lists and objects are the only values
an event may hold: they come back from PostgreSQL's jsonb exactly as they went in, fractions
would not.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC

from engine.model import GENESIS, Event

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical(event: Event) -> bytes:
    """Return the bytes an event's hash is taken over, without the previous hash."""
    return _encode(
        [
            event.assignment_id,
            event.seq,
            event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            event.transition,
            event.from_state,
            event.to_state,
            event.actor_id,
            event.acting_for_id,
            event.agency,
            event.role,
            event.data,
            event.changes,
        ]
    ).encode()


def digest(event: Event) -> bytes:
    """Return the SHA-256 of the previous hash and the canonical form (32 bytes)."""
    return hashlib.sha256(event.previous_hash + canonical(event)).digest()


def sealed(event: Event) -> Event:
    """Return the event with its hash."""
    return replace(event, hash=digest(event))


def day_root(previous: bytes, heads: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Return the root of a day.

    Args:
        previous: Root of the last day that had one, or `GENESIS`.
        heads: (assignment, seq, hash) of the last event of the day of every assignment that
            had one, ordered by assignment.
    """
    root = hashlib.sha256(previous)
    for assignment_id, seq, head in heads:
        root.update(f"{assignment_id}:{seq}:".encode() + head)
    return root.digest()


__all__ = ["GENESIS", "canonical", "day_root", "digest", "sealed"]
