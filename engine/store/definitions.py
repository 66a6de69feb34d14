"""Published definitions: read once, kept for ever, hashed again when read."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from engine.store.tables import definition_approval, definition_version


def digest(body: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a definition's body in canonical JSON."""
    canonical = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


def read(connection: Connection, name: str, version: int) -> tuple[Mapping[str, Any], bytes] | None:
    """Return (body, sha256 as published) of a version."""
    row = connection.execute(
        select(definition_version.c.body, definition_version.c.sha256).where(
            definition_version.c.name == name, definition_version.c.version == version
        )
    ).first()
    return None if row is None else (row[0], row[1])


def latest(connection: Connection, name: str) -> int | None:
    """Return the newest version of a definition, None when it was never published."""
    return connection.execute(
        select(func.max(definition_version.c.version)).where(definition_version.c.name == name)
    ).scalar()


def listed(connection: Connection) -> list[Mapping[str, Any]]:
    """Return every version, newest last."""
    rows = connection.execute(
        select(
            definition_version.c.name,
            definition_version.c.version,
            definition_version.c.published_at,
            func.encode(definition_version.c.sha256, "hex").label("sha256"),
        ).order_by(definition_version.c.name, definition_version.c.version)
    )
    return [dict(row) for row in rows.mappings()]


def publish(
    connection: Connection, body: Mapping[str, Any], approvals: Sequence[str], now: datetime
) -> tuple[int, bool]:
    """Insert a body as the next version; return (version, whether it was new).

    A body that is the newest version already publishes nothing.
    """
    name = body["name"]
    # One publisher of a name at a time, so that two at once do not take the same number.
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 1))"), {"name": name}
    )
    hashed = digest(body)
    newest = connection.execute(
        select(definition_version.c.version, definition_version.c.sha256)
        .where(definition_version.c.name == name)
        .order_by(definition_version.c.version.desc())
        .limit(1)
    ).first()
    if newest is not None and newest[1] == hashed:
        return newest[0], False
    version = 1 if newest is None else newest[0] + 1
    connection.execute(
        insert(definition_version).values(
            name=name, version=version, body=body, sha256=hashed, published_at=now
        )
    )
    if approvals:
        connection.execute(
            insert(definition_approval),
            [{"name": name, "version": version, "transition": t} for t in approvals],
        )
    return version, True
