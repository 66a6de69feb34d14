"""Whoever alters history is found, and the first altered row is named."""

import subprocess
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.clock import at
from engine.service.engine import Engine
from tests.factories import ISSUED, assignment, person, reported, with_plan_51


@pytest.fixture
def database(plan_51: Engine) -> sa.Engine:
    return plan_51.database


def _tampered(database: sa.Engine, *statements: str) -> None:
    """Do what only a superuser can: switch the triggers off and write history."""
    with database.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            connection.execute(sa.text(statement))


def _worked(database: sa.Engine) -> tuple[Engine, int]:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    reported(engine, number, "cv.so-noi-vu", "dp.skhcn")
    assert engine.history.verify().fault is None
    return engine, number


@pytest.mark.parametrize(
    "verb", ["UPDATE event SET to_state = 'closed'", "DELETE FROM event", "TRUNCATE event"]
)
def test_history_refuses_to_be_changed(database: sa.Engine, verb: str) -> None:
    _worked(database)

    with pytest.raises(sa.exc.DBAPIError, match=r"append-only|foreign key"), database.begin() as c:
        c.execute(sa.text(verb))


def test_a_published_definition_refuses_to_be_changed(database: sa.Engine) -> None:
    _worked(database)

    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.begin() as connection:
        connection.execute(sa.text("UPDATE definition_version SET body = '{}'"))


def test_an_altered_event_is_named(database: sa.Engine) -> None:
    engine, number = _worked(database)
    _tampered(
        database,
        f"""UPDATE event SET data = '{{"reason": "khác"}}'
        WHERE assignment_id = {number} AND seq = 3""",
    )

    fault = engine.history.verify().fault

    assert fault is not None
    assert (fault.assignment_id, fault.seq) == (number, 3)
    assert "altered" in fault.what


def test_a_removed_event_is_named(database: sa.Engine) -> None:
    engine, number = _worked(database)
    _tampered(database, f"DELETE FROM event WHERE assignment_id = {number} AND seq = 4")

    fault = engine.history.verify().fault

    assert fault is not None
    assert (fault.assignment_id, fault.seq) == (number, 4)


def test_a_removed_last_event_is_named(database: sa.Engine) -> None:
    engine, number = _worked(database)
    _tampered(database, f"DELETE FROM event WHERE assignment_id = {number} AND seq = 5")

    fault = engine.history.verify().fault

    assert fault is not None
    assert fault.assignment_id == number


def test_an_inserted_event_is_named(database: sa.Engine) -> None:
    engine, number = _worked(database)
    _tampered(
        database,
        f"""INSERT INTO event SELECT assignment_id, 6, at, 'approve_report', 'in_review',
        'completed', actor_id, acting_for_id, agency_code, role, data, changes, hash, hash
        FROM event WHERE assignment_id = {number} AND seq = 5""",
    )

    fault = engine.history.verify().fault

    assert fault is not None
    assert (fault.assignment_id, fault.seq) == (number, 6)


def test_a_state_set_behind_the_engine_is_named(database: sa.Engine) -> None:
    engine, number = _worked(database)
    _tampered(database, f"UPDATE assignment SET state = 'completed' WHERE id = {number}")

    fault = engine.history.verify().fault

    assert fault is not None
    assert fault.assignment_id == number
    assert "state" in fault.what


def test_a_rewritten_chain_does_not_fit_the_root_of_its_day(database: sa.Engine) -> None:
    engine, _ = _worked(database)
    later = engine.at(at(ISSUED.replace(day=9)))
    assert later.history.make_roots() == 1
    assert later.history.make_roots() == 0
    # A whole chain taken away, row and all, leaves no gap inside any other chain.
    victim = assignment(engine, 26, "so-xay-dung")
    _tampered(
        database,
        f"DELETE FROM event WHERE assignment_id = {victim}",
        f"DELETE FROM assignment WHERE id = {victim}",
    )

    fault = later.history.verify().fault

    assert fault is not None
    assert "root of 2025-03-07" in fault.what


def test_the_export_holds_every_event_and_root(database: sa.Engine) -> None:
    engine, _ = _worked(database)
    engine.at(at(ISSUED.replace(day=9))).history.make_roots()

    lines = list(engine.history.export())

    assert len(lines) == 444 + 4 + 1
    assert lines[-1]["day"] == "2025-03-07"


def test_an_answered_transition_survives_a_killed_server(folder: Path) -> None:
    """PostgreSQL killed with -9 during a stream: every answered transition is there, none twice."""
    from engine.errors import DatabaseProblem
    from engine.settings import Settings
    from engine.store import embedded, migrations
    from engine.store.database import open_database

    settings = Settings(data_dir=folder / "data", database_url=None)
    database = open_database(settings)
    try:
        migrations.upgrade(database, settings)
        engine = with_plan_51(database)
        officer = person(engine, "cv.skhcn")
        numbers = [
            int(r["id"])
            for r in engine.lists.assignments(agency="skhcn", state="in_progress", limit=200)
        ]
        answered: dict[int, int] = dict.fromkeys(numbers, 1)
        stop = threading.Event()

        def stream() -> None:
            percent = 0
            while not stop.is_set():
                percent = (percent + 1) % 100
                for number in numbers:
                    try:
                        fired = engine.fire(
                            number,
                            "update_progress",
                            officer,
                            data={"percent": percent, "progress": "Đang làm"},
                        )
                    except (DatabaseProblem, sa.exc.DBAPIError):
                        continue
                    answered[number] = fired.version

        worker = threading.Thread(target=stream)
        worker.start()
        for _ in range(3):
            stop.wait(0.7)
            pid = int((folder / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
            subprocess.run(["pkill", "-9", "-P", str(pid)], check=False)
            subprocess.run(["kill", "-9", str(pid)], check=True)
        stop.wait(0.7)
        stop.set()
        worker.join()

        for number, version in answered.items():
            found, timeline = engine.lists.assignment(number)
            assert found.version >= version
            assert len(timeline) == found.version
        assert max(answered.values()) > 3
        assert engine.history.verify().fault is None
    finally:
        database.dispose()
        embedded.stop(settings.data_dir)
