"""What must hold whatever happens: ninety working days, everything outside failing at random.

The seed is printed and another one every day; `DONDOC_TEST_SEED=7,8,9` lives through others.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta

import pytest

from engine.channels import RULES, URGENT_WINDOW, OutcomeState
from engine.clock import ZONE, SystemClock, local_day
from engine.service.letters import EXPLANATIONS
from engine.store.database import open_database
from engine.windows import QuietHours
from tests.databases import PLAN_51_TEMPLATE, Server
from tests.factories import with_plan_51
from tests.notifications.lived import BEGINS, PEOPLE, Life, a_life

TODAY = local_day(SystemClock().now()).toordinal()
SEEDS = [int(seed) for seed in os.environ.get("DONDOC_TEST_SEED", str(TODAY)).split(",")]
ARRIVED = ("accepted", "delivered", "seen", "unknown")


@pytest.fixture(scope="module", params=SEEDS)
def life(request: pytest.FixtureRequest, plan_51_server: Server) -> Iterator[Life]:
    with plan_51_server.new_database(PLAN_51_TEMPLATE) as name:
        database = open_database(plan_51_server.settings(name))
        with a_life(with_plan_51(database), request.param) as lived:
            print(f"seed {request.param}: {dict(lived.did)}, {len(lived.sendings)} sent")
            yield lived
        database.dispose()


def test_much_happened_and_much_failed(life: Life) -> None:
    outcomes = Counter(s.outcome.state for s in life.sendings if s.outcome is not None)

    assert life.did["died"] > 0
    assert life.did["acknowledge"] > 0
    assert life.did["approve_report"] > 0
    assert {OutcomeState.ACCEPTED, OutcomeState.RETRY, OutcomeState.UNKNOWN} <= set(outcomes)
    assert len(life.sendings) > 500


def test_nobody_has_two_digests_of_a_day_and_no_message_is_taken_twice_without_a_doubt(
    life: Life,
) -> None:
    rows = life.query(
        "SELECT d.id, d.channel, d.rfc_message_id, m.person_id, m.day, m.slot "
        "FROM delivery d JOIN message m ON m.id = d.message_id"
    )
    copies = life.copies()
    taken: dict[int, list[bool]] = defaultdict(list)  # one a send that was taken: known to be?
    for sending in life.sendings:
        if sending.taken:
            known = sending.outcome is not None and sending.outcome.state is OutcomeState.ACCEPTED
            taken[sending.delivery_id] += [known] * sending.taken
    daily = Counter((r["person_id"], r["day"], r["channel"]) for r in rows if r["slot"] == "daily")

    assert max(daily.values()) == 1
    assert sum(copies.values()) == sum(len(taken[r["id"]]) for r in rows if r["channel"] == "email")
    for row in rows:
        sends = taken[row["id"]]
        assert sum(sends) <= 1, row  # at most one that we knew had been taken
        if row["channel"] == "email":
            assert copies[row["rfc_message_id"]] == len(sends)
            assert len(sends) <= 1 + RULES["email"].resends, row
        else:
            assert len(sends) <= 1, row
        assert not any(sends[:-1]), row  # nothing is sent again after it is known to be taken


def test_nobody_is_reminded_of_what_was_answered_or_is_over(life: Life) -> None:
    assert [s for s in life.sendings if s.forbidden] == []
    assert sum(len(s.ids) for s in life.sendings) > 500


def test_nothing_leaves_at_night_or_on_holidays_but_what_is_urgent(life: Life) -> None:
    calendar = life.engine.calendars.read()
    rows = life.query(
        "SELECT d.id, m.slot, m.notice IS NOT NULL AS notice "
        "FROM delivery d JOIN message m ON m.id = d.message_id"
    )
    urgent = {r["id"] for r in rows if r["notice"] or r["slot"].startswith("urgent")}
    for sending in life.sendings:
        local = sending.moment.astimezone(ZONE)
        window = URGENT_WINDOW if sending.delivery_id in urgent else RULES[sending.channel].window
        assert window.opens <= local.time() < window.closes, sending
        if window.working_days_only:
            assert calendar.is_working(local.date()), sending
        if sending.quiet is not None and sending.delivery_id not in urgent:
            assert not QuietHours(*sending.quiet).cover(local.time()), sending
    assert any(sending.quiet is not None for sending in life.sendings)


def test_no_worker_leaves_anything_that_nobody_would_look_at_again(life: Life) -> None:
    assert life.stuck == []
    assert life.did["parked"] > 0


def test_every_rung_is_told_once_to_each_person_or_says_why_not(life: Life) -> None:
    ledger = life.query(
        "SELECT assignment_id, rule, level, period, role, agency_code, count(*) AS times "
        "FROM escalation GROUP BY 1, 2, 3, 4, 5, 6"
    )
    recorded = {tuple(row.values())[:-1]: row["times"] for row in ledger}
    arrived = life.query(
        "SELECT m.person_id, i.assignment_id, i.reason, i.level, i.period, i.role, "
        "i.agency_code, count(*) AS times "
        "FROM message_item i JOIN message m ON m.id = i.message_id "
        "WHERE i.level IS NOT NULL AND i.left_out IS NULL AND EXISTS (SELECT FROM delivery d "
        "WHERE d.message_id = m.id AND d.state = ANY(:arrived)) GROUP BY 1, 2, 3, 4, 5, 6, 7",
        arrived=list(ARRIVED),
    )
    for row in arrived:
        _, assignment_id, rule, level, period, role, agency, times = row.values()
        assert times <= recorded[assignment_id, rule, level, period, role, agency], dict(row)
    untold = life.query(
        "SELECT e.*, a.phase, a.paused_until FROM escalation e "
        "JOIN assignment a ON a.id = e.assignment_id "
        "WHERE e.planned_on IS NULL AND e.settled_on IS NULL AND a.phase <> 'paused' "
        "AND NOT coalesce(a.paused_until >= :last, false) AND EXISTS ("
        "  SELECT FROM role_grant g JOIN person n ON n.id = g.person_id AND n.active "
        "  WHERE (g.role, g.agency_code) = (e.role, e.agency_code))",
        last=life.sendings[-1].moment.date(),
    )
    assert [dict(row) for row in untold] == []
    assert len(recorded) > 50


def test_every_delivery_can_be_explained_and_nothing_is_left_lying(life: Life) -> None:
    after = life.sendings[-1].moment + timedelta(minutes=5)
    engine = life.engine.at(after)
    seen: Counter[str] = Counter()
    for row in life.query("SELECT id FROM delivery ORDER BY id"):
        shown = engine.deliveries.show(row["id"])
        seen[shown["state"]] += 1
        tries = shown["tries"]
        assert [t["number"] for t in tries] == list(range(1, shown["attempts"] + 1))
        assert all(t["started_at"] <= t["finished_at"] for t in tries)
        assert shown["state"] != "sending", shown
        if shown["state"] in {"queued", "retry"}:  # waits for a moment that is still to come
            assert shown["next_attempt_at"] > after - timedelta(hours=14), shown
            assert shown["expires_at"] > after, shown
        if shown["state"] == "accepted":
            assert tries[-1]["outcome"] == "accepted"
        if shown["state"] == "unknown":
            assert tries[-1]["outcome"] == "unknown"
        if shown["state"] == "suppressed":
            assert shown["last_code"] in EXPLANATIONS, shown
        if shown["state"] in {"failed", "dead", "unknown", "retry"}:
            assert shown["last_code"], shown
        for item in shown["items"]:
            assert item["left_out"] is None or item["left_out"] in EXPLANATIONS
    print(dict(seen))


def test_whatever_was_planned_arrived_was_replaced_or_had_nothing_left_to_say(life: Life) -> None:
    silent = life.query(
        "SELECT m.id, m.day, m.slot, n.login, array_agg(d.state || ' ' || "
        "coalesce(d.last_code, '')) AS states FROM message m JOIN person n ON n.id = m.person_id "
        "LEFT JOIN delivery d ON d.message_id = m.id GROUP BY 1, 2, 3, 4 "
        "HAVING NOT coalesce(bool_or(d.state = ANY(:arrived) OR d.state IN ('suppressed', "
        "'superseded')), count(d.id) = 0 AND NOT m.unaddressed)",
        arrived=list(ARRIVED),
    )
    last = life.sendings[-1].moment.date()
    # What never arrived is carried into the next digest, also where there was no address at all
    # (it is not `unaddressed` any more); an urging that never did is a dead letter somebody sees.
    left = [row for row in silent if row["day"] < last and row["slot"] == "daily"]
    assert [dict(row) for row in left] == []
    assert {row["login"] for row in silent} <= set(PEOPLE)
    assert life.sendings[0].moment.date() >= BEGINS


def test_the_history_is_whole_afterwards(life: Life) -> None:
    checked = life.engine.history.verify()

    assert checked.fault is None
    assert checked.events > 1000
