"""Planning that is killed, doubled, or run by a clock that jumps."""

import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.clock import at
from engine.service.engine import Engine
from engine.settings import Settings
from engine.store.database import open_database
from notifications.sending import Sender, deliver
from notifications.standin.mailbox import Mailbox
from tests.databases import PLAN_51_TEMPLATE, SEAL_KEYS, Server
from tests.factories import with_plan_51
from tests.notifications.sent import ACCEPTED, MORNING, OCTOBER, WAYS, send

DONDOC = str(Path(sys.executable).with_name("dondoc"))


def told(engine: Engine) -> Counter[tuple[Any, ...]]:
    """Whom which item was planned for, on which day."""
    with engine.database.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT n.login, m.day, i.assignment_id, i.reason, i.level, i.role "
                "FROM message m JOIN message_item i ON i.message_id = m.id "
                "JOIN person n ON n.id = m.person_id"
            )
        )
        return Counter(tuple(row) for row in rows)


def test_a_planner_that_is_killed_leaves_nothing_and_the_next_plans_the_same(
    plan_51: Engine, plan_51_settings: Settings, plan_51_server: Server
) -> None:
    october = plan_51.at(MORNING)
    october.sweeps.run()
    assert plan_51_settings.database_url is not None
    environment = {
        "DONDOC_DATABASE_URL": plan_51_settings.database_url.get_secret_value(),
        "DONDOC_SEAL_KEYS": SEAL_KEYS,
        "DONDOC_SMTP_PORT": "9",
        "DONDOC_SMTP_SECURITY": "plain",
    }
    with october.database.connect() as holder, holder.begin():
        holder.execute(sa.text("LOCK TABLE delivery IN EXCLUSIVE MODE"))
        planner = subprocess.Popen(
            [DONDOC, "deliver", "--as-of", "2025-10-01"], env=environment, stderr=subprocess.PIPE
        )
        waiting = sa.text(
            "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
            "WHERE c.relname = 'delivery' AND NOT l.granted"
        )
        limit = time.monotonic() + 40
        while holder.execute(waiting).scalar_one() == 0:
            assert time.monotonic() < limit
            time.sleep(0.02)
        planner.kill()
        planner.communicate()
    killed = told(october)
    october.messages.plan(WAYS)

    with plan_51_server.new_database(PLAN_51_TEMPLATE) as name:
        database = open_database(plan_51_server.settings(name))
        undisturbed = with_plan_51(database).at(MORNING)
        undisturbed.sweeps.run()
        undisturbed.messages.plan(WAYS)
        expected = told(undisturbed)
        database.dispose()
    assert killed == {}
    assert told(october) == expected
    assert len(expected) > 50


def test_planners_at_once_make_the_messages_of_one(plan_51: Engine) -> None:
    october = plan_51.at(MORNING)
    october.sweeps.run()
    made: list[int] = []
    start = threading.Barrier(4)

    def plan() -> None:
        start.wait()
        made.append(october.messages.plan(WAYS).messages)

    threads = [threading.Thread(target=plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made)[:3] == [0, 0, 0]
    assert max(told(october).values()) == 1
    assert len({login for login, *_ in told(october)}) == max(made) > 20


def test_a_clock_that_jumps_doubles_nothing_and_loses_nothing(plan_51: Engine) -> None:
    days = [date(2025, 10, 2), date(2025, 10, 1), date(2025, 10, 10), date(2025, 10, 3)]
    for day in days:  # set forward by mistake, back, far ahead, back again
        then = plan_51.at(at(day))
        then.sweeps.run()
        then.messages.plan(WAYS)
        then.messages.plan(WAYS)
    last = plan_51.at(at(date(2025, 10, 13)))
    last.sweeps.run()
    last.messages.plan(WAYS)

    with plan_51.database.connect() as connection:
        doubled = connection.execute(
            sa.text("SELECT person_id, day, slot FROM message GROUP BY 1, 2, 3 HAVING count(*) > 1")
        ).all()
        untold = connection.execute(
            sa.text(
                "SELECT e.* FROM escalation e JOIN role_grant g "
                "ON (g.role, g.agency_code) = (e.role, e.agency_code) "
                "WHERE e.planned_on IS NULL AND e.settled_on IS NULL"
            )
        ).all()
        living = connection.execute(
            sa.text(
                "SELECT m.person_id, i.assignment_id, i.reason, i.level, i.role, i.agency_code "
                "FROM message m JOIN message_item i ON i.message_id = m.id WHERE EXISTS "
                "(SELECT FROM delivery d WHERE d.message_id = m.id AND d.state = 'queued') "
                "GROUP BY 1, 2, 3, 4, 5, 6 HAVING count(*) > 1"
            )
        ).all()
        planned = connection.execute(sa.text("SELECT DISTINCT day FROM message ORDER BY day"))
        days_told = list(planned.scalars())
    assert doubled == []
    assert days_told == [date(2025, 10, 2), date(2025, 10, 10), date(2025, 10, 13)]  # none past
    assert untold == []
    assert living == []  # what was never sent is said in one message, the newest


def test_a_clock_that_goes_back_sends_nobody_anything_again(
    plan_51: Engine, mailbox: Mailbox, outside: Settings
) -> None:
    sent = []
    second, first, tenth = date(2025, 10, 2), date(2025, 10, 1), date(2025, 10, 10)
    for day in (second, first, second, tenth, first, tenth):
        then = plan_51.at(at(day))
        then.sweeps.run()
        deliver(then, outside, Sender(then, outside))
        sent.append(len(mailbox.messages()))

    mails = mailbox.messages()
    told_on = Counter((str(mail["To"]), str(mail["Date"])) for mail in mails)
    assert sent[0] > 20
    assert sent[:3] == [sent[0]] * 3
    assert sent[3] > sent[0]
    assert sent[3:] == [sent[3]] * 3
    assert len({str(mail["Message-ID"]) for mail in mails}) == len(mails)
    assert set(told_on.values()) == {1}


def test_a_lease_is_kept_when_the_clock_goes_back(plan_51: Engine) -> None:
    october = plan_51.at(MORNING)
    october.sweeps.run()
    october.messages.plan(WAYS)
    october.deliveries.claim(WAYS, "one", 500)

    back = plan_51.at(MORNING - timedelta(minutes=15))

    assert back.deliveries.claim(WAYS, "another", 500) == []
    assert back.deliveries.reap(WAYS)["released"] == 0
    assert back.deliveries.reap(WAYS)["unknown"] == 0
    later = plan_51.at(at(OCTOBER, 9))
    assert later.deliveries.reap(WAYS)["released"] > 20
    assert send(later, october.deliveries.listed(limit=1)[0]["id"], ACCEPTED) == "accepted"
