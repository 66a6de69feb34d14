"""Publishing and reading workflow definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.clock import local_day
from engine.decide import migrated
from engine.definition import Definition, DefinitionRef, to_body
from engine.errors import EngineError, NotAllowed, Sentence
from engine.store import assignments, definitions, people
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.service.engine import Engine


@dataclass(frozen=True, slots=True)
class Migrated:
    """One assignment moved (or to be moved), or why it was not."""

    assignment_id: int
    from_state: str
    to_state: str
    refusal: EngineError | None


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

    def migrate(
        self,
        name: str,
        versions: tuple[int, int],
        states: Mapping[str, str],
        person_id: int,
        *,
        apply: bool,
    ) -> list[Migrated]:
        """Move what is open from one version of a definition to another.

        Args:
            name: The definition.
            versions: From which version to which.
            states: Old state -> new state; a state that is not named keeps its name.
            person_id: Who decides it; an administrator.
            apply: False: only say what would happen.

        Returns:
            A result for every open assignment; a refusal leaves that one where it is.

        Raises:
            NotAllowed: The person is no administrator.
            NotFound: A version was never published.
        """
        engine = self._engine
        now = engine.clock.now()
        old, new = (DefinitionRef(name, version) for version in versions)
        results = []
        with translate_database_errors(), engine.database.begin() as connection:
            actor = people.asking(connection, person_id, now, local_day(now)).actor
            if actor is None or not any(a.role == "admin" for a in actor.authorities):
                raise NotAllowed(
                    [
                        Sentence(
                            "Chỉ quản trị viên được chuyển phiên bản quy trình",
                            "only an administrator moves assignments to another version",
                        )
                    ]
                )
            engine.reference.definition(connection, old)
            definition = engine.reference.definition(connection, new)
            calendar = engine.reference.calendar(connection)
            decided = []
            ids = assignments.open_of(connection, old)
            for before in assignments.lock_many(connection, ids):
                state = states.get(before.state, before.state)
                try:
                    decision = migrated(
                        before, definition, state, actor=actor, now=now, calendar=calendar
                    )
                except EngineError as refusal:
                    results.append(Migrated(before.id, before.state, state, refusal))
                    continue
                decided.append((before, decision))
                results.append(Migrated(before.id, before.state, state, None))
            if apply and decided:
                assignments.read_apply(assignments.send_apply(connection, decided))
        return results

    def check(self) -> None:
        """Hash every published body again; raises DefinitionChanged when one differs."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            for row in definitions.listed(connection):
                self._engine.reference.definition(
                    connection, DefinitionRef(row["name"], row["version"])
                )
