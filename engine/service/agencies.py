"""The directory: agencies and groups with their dates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.agencies import Directory
from engine.store import agencies
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from engine.service.engine import Engine


class Agencies:
    """Use cases of the directory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, directory: Directory) -> None:
        """Insert or update agencies and groups; loading the same twice changes nothing.

        A group without a confirmed list does not replace one that has been given a list since:
        the file an installation began with may be loaded again after a reorganisation.

        Raises:
            InvalidData: With what is stored already, two agencies would bear one name.
        """
        with translate_database_errors(), self._engine.database.begin() as connection:
            stored = agencies.read(connection)
            listed = {code for code, group in stored.groups.items() if group.confirmed}
            groups = {
                code: group
                for code, group in directory.groups.items()
                if group.confirmed or code not in listed
            }
            Directory(
                {**stored.agencies, **directory.agencies},
                {**stored.groups, **groups},
                {**stored.successors, **directory.successors},
            ).check()
            agencies.save(connection, replace(directory, groups=groups))

    def read(self) -> Directory:
        """Return the whole directory."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return agencies.read(connection)
