"""Publishing and reading workflow definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.definition import Definition, DefinitionRef, to_body
from engine.store import definitions
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.service.engine import Engine


class Definitions:
    """Use cases of definitions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def publish(self, drafts: Iterable[Definition]) -> list[tuple[DefinitionRef, bool]]:
        """Publish drafts; return each as (name and version, whether it is a new version)."""
        now = self._engine.clock.now()
        published = []
        with translate_database_errors(), self._engine.database.begin() as connection:
            for draft in drafts:
                approvals = [t.name for t in draft.transitions.values() if t.approves]
                version, new = definitions.publish(connection, to_body(draft), approvals, now)
                published.append((DefinitionRef(draft.ref.name, version), new))
        return published

    def show(self, name: str, version: int | None = None) -> Definition:
        """Return a published definition, the newest where no version is named."""
        reference = self._engine.reference
        with translate_database_errors(), self._engine.database.connect() as connection:
            if version is None:
                return reference.latest(connection, name)
            return reference.definition(connection, DefinitionRef(name, version))

    def listed(self) -> list[Mapping[str, Any]]:
        """Return name, version, sha256 and moment of every published version."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return definitions.listed(connection)

    def check(self) -> None:
        """Hash every published body again; raises DefinitionChanged when one differs."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            for row in definitions.listed(connection):
                self._engine.reference.definition(
                    connection, DefinitionRef(row["name"], row["version"])
                )
