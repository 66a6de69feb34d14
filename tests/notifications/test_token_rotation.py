"""Tokens of an Official Account: renewed once however many ask, never in a loop, never shown."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

import dondoc
from engine.channels import Limit, Outcome, OutcomeState, Ways
from engine.clock import FixedClock, SystemClock
from engine.errors import DatabaseProblem, InvalidData, Sentence
from engine.sealing import KeyRing
from engine.service import credentials as service
from engine.service.credentials import (
    ConsentNeeded,
    Credential,
    CredentialStatus,
    NoCredential,
    TokenPair,
    TokenRefused,
    TokenUnanswered,
    TokenUnavailable,
)
from engine.service.engine import Engine
from engine.settings import Settings
from flows import credentials as flow
from flows import runtime
from notifications.channels import wire
from notifications.oa import (
    NEEDS_CONSENT,
    OfficialAccount,
    park_for_consent,
    resume_after_consent,
    token_pair,
)
from notifications.secrets import protect_logs
from notifications.standin.zalo import ZaloStandIn
from notifications.standin.zalo_oa import Template
from tests.databases import SEAL_KEYS
from tests.factories import KEYS
from tests.notifications.accounts import (
    LENGTHS,
    NOON,
    PHONE,
    SECRETS,
    TRACKING,
    VALUES,
    an_account,
    connected,
    environment,
    official,
    settings_of,
)

NEW_KEYS = f"new:{'B' * 43}=,{SEAL_KEYS}"


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn(account=an_account(), clock=lambda: NOON) as running:
        yield running


def status(engine: Engine) -> CredentialStatus:
    (only,) = engine.credentials.listed()
    return only


def send(account: OfficialAccount) -> Outcome:
    return account.send_to_phone(PHONE, VALUES, TRACKING, NOON)


def later(engine: Engine, **length: float) -> Engine:
    return engine.at(engine.clock.now() + timedelta(**length))


class TestRenewing:
    def test_a_good_token_is_used_as_it_is(self, database: sa.Engine, zalo: ZaloStandIn) -> None:
        outcome = send(official(connected(database, zalo), zalo))

        assert outcome.state is OutcomeState.ACCEPTED
        assert [path for path, _ in zalo.requests] == ["/message/template"]

    @pytest.mark.parametrize("code", ["-124", "-216", "-220s"])
    def test_a_refused_token_is_renewed_once_and_the_message_accepted_once(
        self, database: sa.Engine, zalo: ZaloStandIn, code: str
    ) -> None:
        engine = connected(database, zalo)
        zalo.fail_next(code)

        outcome = send(official(engine, zalo))

        assert outcome.state is OutcomeState.ACCEPTED
        assert [path for path, _ in zalo.requests] == [
            "/message/template",
            "/v4/oa/access_token",
            "/message/template",
        ]
        assert len(zalo.templates) == zalo.account.token_calls == 1
        assert status(engine).generation == 2

    def test_a_token_refused_twice_parks_and_is_not_renewed_again(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        zalo.fail_next("-124", "-124")

        outcome = send(official(connected(database, zalo), zalo))

        assert (outcome.state, outcome.code) == (OutcomeState.PARKED, "-124")
        assert zalo.account.token_calls == 1

    def test_the_renewal_is_the_one_zalo_documents(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        official(connected(database, zalo), zalo).rotate()

        ((path, body),) = zalo.requests
        assert path == "/v4/oa/access_token"
        assert (
            body
            == (
                f"refresh_token={SECRETS[2]}&app_id={zalo.account.app_id}&grant_type=refresh_token"
            ).encode()
        )

    def test_a_token_is_renewed_when_less_than_two_hours_are_left(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = connected(database, zalo, seconds=25 * 3600)
        early, due = later(engine, hours=22.9), later(engine, hours=23.1)

        first = official(early, zalo).access()
        second = official(due, zalo).access()
        third = official(due, zalo).access()

        assert [first.generation, second.generation, third.generation] == [1, 2, 2]
        assert status(due).access_expires_at == due.clock.now() + timedelta(hours=25)

    def test_whoever_was_refused_an_old_generation_gets_the_new_one(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        account = official(connected(database, zalo), zalo)

        found = [account.access(1), account.access(1), account.access(None)]

        assert [token.generation for token in found] == [2, 2, 2]
        assert zalo.account.token_calls == 1

    def test_without_a_new_refresh_token_the_old_one_stays(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        zalo.account.rotating = False
        engine = connected(database, zalo)
        tomorrow = later(engine, days=1)

        official(tomorrow, zalo).rotate()
        official(tomorrow, zalo).rotate()

        assert zalo.account.token_calls == 2
        assert status(tomorrow).generation == 3
        assert status(tomorrow).refresh_issued_at == NOON

    @pytest.mark.parametrize("life", ["90000", 90000])
    def test_the_life_of_a_token_may_be_a_text(self, life: object) -> None:
        pair = token_pair(
            json.dumps({"access_token": "a", "refresh_token": "r", "expires_in": life})
        )

        assert pair == ("a", "r", 90_000)

    @pytest.mark.parametrize("text", ["", "x", "[]", '{"access_token":"a"}', '{"access_token":1}'])
    def test_what_is_no_pair_is_not_taken_for_one(self, text: str) -> None:
        with pytest.raises(InvalidData, match="expires_in"):
            token_pair(text)


class TestManyAtOnce:
    def test_eight_threads_renew_once(self, database: sa.Engine, zalo: ZaloStandIn) -> None:
        engine = connected(database, zalo)
        zalo.account.expire()
        account = official(engine, zalo)
        together = threading.Barrier(8)

        def one(_: int) -> Outcome:
            together.wait()
            return send(account)

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(one, range(8)))

        assert {o.state for o in outcomes} == {OutcomeState.ACCEPTED}
        assert (zalo.account.token_calls, len(zalo.templates)) == (1, 8)

    def test_eight_processes_with_an_expired_token_renew_once(
        self, settings: Settings, database: sa.Engine, tmp_path: Path
    ) -> None:
        # Real processes have the machine's clock, so this has to hold at night too.
        by_day = {"t1": Template(LENGTHS, blocked_at_night=False)}
        with ZaloStandIn(account=an_account(templates=by_day)) as zalo:
            connected(database, zalo, SystemClock().now())
            zalo.account.expire()
            running = [_process(_SEND, settings, zalo, tmp_path, n) for n in range(8)]
            _wait(lambda: len(list(tmp_path.glob("ready-*"))) == 8)
            (tmp_path / "go").touch()
            said = [process.communicate(timeout=120) for process in running]

            assert [out for out, _ in said] == ["accepted 0\n"] * 8, said
            assert (zalo.account.token_calls, len(zalo.templates)) == (1, 8)

    def test_whoever_cannot_wait_any_longer_tries_later(
        self, database: sa.Engine, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = connected(database, zalo)
        monkeypatch.setattr(service, "LOCK_SECONDS", 0.2)
        outcomes = []

        def slow(_: Credential) -> TokenPair:
            zalo.account.expire()
            outcomes.append(send(official(engine, zalo)))
            return TokenPair("a", "r", 90_000)

        engine.credentials.rotate(zalo.account.oa_id, slow)

        assert [(o.state, o.code) for o in outcomes] == [(OutcomeState.RETRY, "token-unavailable")]
        assert zalo.account.token_calls == 0

    def test_no_transaction_is_open_while_zalo_is_asked(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = connected(database, zalo)
        seen: list[tuple[int, int]] = []

        def look(_: Credential) -> TokenPair:
            with database.connect() as connection:
                open_ones = connection.execute(
                    sa.text(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                    )
                ).scalar_one()
                locks = connection.execute(
                    sa.text(
                        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                        "WHERE d.datname = current_database() AND l.locktype = 'advisory'"
                    )
                ).scalar_one()
                begun = connection.execute(
                    sa.text("SELECT count(*) FROM oa_credential WHERE rotate_started_at = :now"),
                    {"now": NOON},
                ).scalar_one()
            seen.append((open_ones, locks))
            assert begun == 1
            return TokenPair("a", "r", 90_000)

        engine.credentials.rotate(zalo.account.oa_id, look)

        assert seen == [(0, 1)]


class TestLostGrants:
    @pytest.mark.parametrize("fault", ["empty200", "-14014", "-14014s", "-14002", "-14003"])
    def test_a_dead_refresh_token_asks_for_consent_once(
        self, database: sa.Engine, zalo: ZaloStandIn, caplog: pytest.LogCaptureFixture, fault: str
    ) -> None:
        engine = connected(database, zalo)
        zalo.account.expire()
        zalo.fail_next_renewal(fault)

        outcomes = [send(official(later(engine, hours=n), zalo)) for n in range(5)]

        assert {(o.state, o.code) for o in outcomes} == {(OutcomeState.PARKED, NEEDS_CONSENT)}
        assert sum(path == "/v4/oa/access_token" for path, _ in zalo.requests) == 1
        assert status(engine).state == "needs_consent"
        assert [r.levelno for r in caplog.records].count(logging.ERROR) == 1

    def test_a_consumed_token_and_a_revoked_one_are_dead(self, database: sa.Engine) -> None:
        for harm in ("consumed", "revoked"):
            with ZaloStandIn(account=an_account(oa_id=harm), clock=lambda: NOON) as zalo:
                engine = connected(database, zalo)
                if harm == "consumed":  # somebody else used our refresh token
                    official(engine, zalo).refresh(
                        Credential(harm, zalo.account.app_id, SECRETS[2])
                    )
                else:
                    zalo.account.revoke()

                with pytest.raises(ConsentNeeded) as lost:
                    official(engine, zalo).access(1)

            assert ("empty answer" if harm == "consumed" else "-14014") in lost.value.reason

    def test_a_new_consent_makes_it_good_again(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = connected(database, zalo)
        zalo.account.revoke()
        assert send(official(engine, zalo)).code == NEEDS_CONSENT

        connected(database, zalo)

        assert send(official(engine, zalo)).state is OutcomeState.ACCEPTED
        assert (status(engine).state, status(engine).generation) == ("active", 2)
        assert status(engine).last_error is None

    def test_gateways_stop_and_start_with_the_grant(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = connected(database, zalo)
        ways = Ways({"email": Limit(60, 1), "zalo_zbs": Limit(60, 1)}, "quangngai.example")

        park_for_consent(engine, ways, "x")
        stopped = {g.channel: g.state for g in engine.gateways.listed()}
        resume_after_consent(engine, ways)
        started = {g.channel: g.state for g in engine.gateways.listed()}

        assert stopped["zalo_zbs"] == "needs_consent"
        assert stopped["zalo_uid"] == stopped["email"] == started["zalo_zbs"] == "active"

    def test_killed_between_zalos_renewal_and_our_commit_is_seen_and_asks_for_consent(
        self,
        settings: Settings,
        database: sa.Engine,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with ZaloStandIn(account=an_account()) as zalo:
            engine = connected(database, zalo, SystemClock().now())
            zalo.account.expire()
            zalo.fail_next_renewal("accept_then_hang", hang_seconds=30)
            process = _process(_SEND, settings, zalo, tmp_path, 0)
            (tmp_path / "go").touch()
            _wait(lambda: zalo.account.token_calls == 1)
            process.kill()
            process.communicate()
            seen = status(engine)

            soon = send(official(engine, zalo))
            next_day = [send(official(later(engine, minutes=m), zalo)) for m in (2, 3, 1000)]

            calls = sum(path == "/v4/oa/access_token" for path, _ in zalo.requests)
        assert seen.doubtful_since is not None
        assert (seen.state, seen.generation) == ("active", 1)
        assert soon.code == "token-unavailable"
        assert {o.code for o in next_day} == {NEEDS_CONSENT}
        assert "its answer never arrived" in next_day[0].text
        assert calls == 2
        assert zalo.templates == []
        assert [r.levelno for r in caplog.records].count(logging.ERROR) == 1


class TestDoubts:
    @pytest.mark.parametrize("fault", ["html504", "html200", "500", "accept_then_reset"])
    def test_an_unanswered_renewal_rests_and_is_tried_once_more(
        self, database: sa.Engine, zalo: ZaloStandIn, fault: str
    ) -> None:
        engine = connected(database, zalo)
        zalo.account.expire()
        zalo.fail_next_renewal(fault)

        first = send(official(engine, zalo))
        at_once = send(official(engine, zalo))
        doubtful = status(engine).doubtful_since
        again = send(official(later(engine, minutes=2), zalo))

        assert [first.state, at_once.state] == [OutcomeState.RETRY, OutcomeState.RETRY]
        assert first.retry_after_seconds == at_once.retry_after_seconds == 60
        assert doubtful == NOON
        calls = sum(path == "/v4/oa/access_token" for path, _ in zalo.requests)
        assert calls == 2
        if fault == "accept_then_reset":
            assert (again.state, again.code) == (OutcomeState.PARKED, NEEDS_CONSENT)
        else:
            assert again.state is OutcomeState.ACCEPTED
            assert status(engine).doubtful_since is None

    def test_two_unanswered_renewals_ask_a_person_who_may_try_again(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = connected(database, zalo)
        zalo.account.expire()
        zalo.fail_next_renewal("html504", "html504")

        outcomes = [send(official(later(engine, minutes=2 * n), zalo)) for n in range(4)]
        by_hand = official(engine, zalo).rotate()

        assert [o.code for o in outcomes] == ["token-unavailable", *[NEEDS_CONSENT] * 3]
        assert by_hand
        assert status(engine).state == "active"
        assert send(official(engine, zalo)).state is OutcomeState.ACCEPTED

    def test_the_daily_renewal_settles_a_doubt_however_young_the_token(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = connected(database, zalo)
        zalo.fail_next_renewal("html504")
        with pytest.raises(TokenUnavailable):
            official(engine, zalo).access(1)
        account = official(later(engine, minutes=2), zalo)

        settled = account.rotate(older_than=timedelta(hours=20))
        again = account.rotate(older_than=timedelta(hours=20))

        assert (settled, again) == (True, False)
        assert status(engine).doubtful_since is None

    def test_a_slow_answer_is_a_doubt(
        self, database: sa.Engine, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wire._call, "__defaults__", (0.3,))
        engine = connected(database, zalo)
        zalo.fail_next_renewal("accept_then_hang", hang_seconds=1)

        with pytest.raises(TokenUnavailable, match="ReadTimeout"):
            official(engine, zalo).access(1)

        assert status(engine).doubtful_since == NOON

    def test_nobody_listening_is_no_doubt(self, database: sa.Engine, zalo: ZaloStandIn) -> None:
        engine = connected(database, zalo)
        away = official(engine, zalo, zalo_oauth_url="http://127.0.0.1:9")

        for _ in range(5):
            with pytest.raises(TokenUnavailable):
                away.access(1)

        assert status(engine).doubtful_since is None
        assert official(engine, zalo).access(1).generation == 2

    def test_nobody_listening_does_not_end_an_earlier_doubt(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = connected(database, zalo)
        zalo.fail_next_renewal("html504")
        with pytest.raises(TokenUnavailable):
            official(engine, zalo).access(1)

        after = later(engine, minutes=2)
        with pytest.raises(TokenUnavailable):
            official(after, zalo, zalo_oauth_url="http://127.0.0.1:9").access(1)

        assert status(engine).doubtful_since == NOON
        assert official(after, zalo).access(1).generation == 2

    def test_while_the_old_token_is_good_a_failed_renewal_stops_nothing(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = later(connected(database, zalo), hours=24)
        zalo.fail_next_renewal("html504", "429")

        outcomes = [send(official(engine, zalo)) for _ in range(3)]

        assert {o.state for o in outcomes} == {OutcomeState.ACCEPTED}
        assert zalo.account.token_calls == 0

    @pytest.mark.parametrize("secret", ["wrong", None])
    def test_a_wrong_or_missing_app_secret_is_our_setup_and_costs_nothing(
        self, database: sa.Engine, zalo: ZaloStandIn, secret: str | None
    ) -> None:
        engine = connected(database, zalo)
        zalo.account.expire()

        wrong = send(official(engine, zalo, zalo_app_secret=secret))
        right = send(official(engine, zalo))

        assert (wrong.state, wrong.code) == (OutcomeState.PARKED, "token-refused")
        assert right.state is OutcomeState.ACCEPTED

    def test_a_database_that_stops_for_a_moment_does_not_lose_the_new_pair(
        self, database: sa.Engine, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = connected(database, zalo)
        rests: list[float] = []
        monkeypatch.setattr(time, "sleep", rests.append)
        change, calls = engine.credentials._change, []

        def flaky(held: object, **values: object) -> None:
            calls.append(values)
            if 2 <= len(calls) <= 4:  # the first notes the beginning
                raise DatabaseProblem(Sentence("x", "x"))
            change(held, **values)  # type: ignore[arg-type]

        monkeypatch.setattr(engine.credentials, "_change", flaky)

        token = official(engine, zalo).access(1)

        assert token.token == zalo.account.access_token
        assert len(rests) == 3


class TestSecrets:
    def test_tokens_are_sealed_where_they_lie(self, database: sa.Engine, zalo: ZaloStandIn) -> None:
        engine = connected(database, zalo)

        with database.connect() as connection:
            row = connection.execute(sa.text("SELECT * FROM oa_credential")).one()

        assert not any(s.encode() in bytes(v) for v in row if isinstance(v, bytes) for s in SECRETS)
        oa_id = zalo.account.oa_id
        assert KEYS.open(row.access_sealed, f"oa {oa_id} access") == SECRETS[1]
        assert KEYS.open(row.refresh_sealed, f"oa {oa_id} refresh") == SECRETS[2]
        assert status(engine).generation == 1

    def test_a_new_key_reseals_both_tokens(self, database: sa.Engine, zalo: ZaloStandIn) -> None:
        connected(database, zalo)
        both = Engine(database, FixedClock(NOON), keyring=KeyRing.parse(NEW_KEYS))
        alone = Engine(
            database, FixedClock(NOON), keyring=KeyRing.parse(NEW_KEYS.partition(",")[0])
        )

        done = [both.credentials.reseal(), both.credentials.reseal()]

        assert done == [2, 0]
        assert official(alone, zalo).access().token == SECRETS[1]
        assert official(alone, zalo).access(1).generation == 2

    def test_no_secret_is_in_any_log_error_or_name(
        self, database: sa.Engine, zalo: ZaloStandIn, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        protect_logs()
        logging.getLogger("urllib3").setLevel(logging.DEBUG)
        engine = connected(database, zalo)
        account = official(engine, zalo)
        said: list[str] = []
        tokens = [*SECRETS]

        for fault in ("", "html504", "", "-14014"):
            zalo.fail_next("-124")
            zalo.fail_next_renewal(fault)
            engine = later(engine, hours=1)
            said.append(repr(send(OfficialAccount(engine, settings_of(zalo)))))
            tokens += [zalo.account.access_token, zalo.account.refresh_token]
        with pytest.raises(ConsentNeeded) as lost:
            account.access()
        said += [str(lost.value), lost.value.sentence.vi, repr(account), repr(settings_of(zalo))]
        said += [repr(Credential("o", "a", SECRETS[2])), repr(TokenPair(SECRETS[1], SECRETS[2], 1))]
        said += [repr(status(engine)), repr(TokenUnanswered("x"))]

        assert "oauth" not in caplog.text
        assert "/v4/oa/access_token" in caplog.text
        assert not [t for t in tokens if t in caplog.text + "".join(said)]

    def test_an_account_never_connected_says_how(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        engine = Engine(database, FixedClock(NOON), keyring=KEYS)

        with pytest.raises(NoCredential):
            official(engine, zalo).access()
        assert send(official(engine, zalo)).code == "not-connected"
        with pytest.raises(InvalidData, match="refresh_token"):
            engine.credentials.connect("o", "a", "t", " ", 1)


class TestByHandAndByDay:
    @pytest.fixture(autouse=True)
    def _environment(
        self, settings: Settings, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        for name, value in environment(settings, zalo).items():
            monkeypatch.setenv(name, value)
        for kept in (runtime.settings, runtime.engine):
            kept.cache_clear()
        yield
        if runtime.engine.cache_info().currsize:
            runtime.engine().database.dispose()
        for kept in (runtime.settings, runtime.engine):
            kept.cache_clear()

    def run(self, *arguments: str, stdin: str = "") -> str:
        done = CliRunner().invoke(dondoc.app, ["oa", *arguments], input=stdin)
        assert done.exit_code == 0, done.output
        return done.output

    def test_an_account_is_connected_from_stdin_renewed_and_shown(self, zalo: ZaloStandIn) -> None:
        account = zalo.account
        pair = {"access_token": SECRETS[1], "refresh_token": SECRETS[2], "expires_in": "90000"}

        said = self.run(
            "connect", account.oa_id, "--app-id", account.app_id, stdin=json.dumps(pair)
        )
        said += self.run("rotate")
        shown = self.run("status", "--live", "--json")
        said += shown + self.run("status")

        (row,) = json.loads(shown)
        assert (row["state"], row["generation"], row["days_since_rotation"]) == ("active", 2, 0)
        assert (row["profile"]["oa_type"], row["quota"]["remaining"]) == (2, 500)
        secrets = [*SECRETS, account.access_token, account.refresh_token]
        assert not [s for s in secrets if s in said]

    def test_a_lost_grant_is_refused_and_shown(self, zalo: ZaloStandIn, tmp_path: Path) -> None:
        given = tmp_path / "pair.json"
        given.write_text(json.dumps({"access_token": SECRETS[1], "refresh_token": SECRETS[2]}))
        oa_id, app_id = zalo.account.oa_id, zalo.account.app_id
        self.run("connect", oa_id, "--app-id", app_id, "--file", str(given))
        zalo.account.revoke()

        done = CliRunner().invoke(dondoc.app, ["oa", "rotate"])

        assert isinstance(done.exception, ConsentNeeded)
        assert "dondoc oa connect" in done.exception.sentence.vi
        (row,) = json.loads(self.run("status", "--json"))
        assert row["state"] == "needs_consent"
        assert "-14014" in row["last_error"]

    def test_the_flow_renews_once_a_day(self, database: sa.Engine, zalo: ZaloStandIn) -> None:
        renew: Callable[[], str] = flow.rotate_credentials.fn
        connected(database, zalo, SystemClock().now() - timedelta(hours=23, minutes=59))

        said = [renew(), renew()]
        zalo.account.revoke()
        with database.begin() as connection:
            connection.execute(
                sa.text("UPDATE oa_credential SET refresh_issued_at = refresh_issued_at - :day"),
                {"day": timedelta(days=1)},
            )
        said += [renew(), renew()]

        assert said == ["rotated", "fresh", "needs consent", "needs consent"]
        assert zalo.account.token_calls == 2

    def test_the_flow_has_nothing_to_do_without_an_account(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DONDOC_ZALO_OA_ID")

        assert flow.rotate_credentials.fn() == "not set up"

    def test_a_wrong_app_secret_fails_the_flow_loudly(
        self, database: sa.Engine, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connected(database, zalo)  # long ago
        monkeypatch.setenv("DONDOC_ZALO_APP_SECRET", "wrong")

        with pytest.raises(TokenRefused, match="app"):
            flow.rotate_credentials.fn()


# A process that sends one template once the others are ready too, and says what came of it.
_SEND = """
import sys, time
from pathlib import Path
from engine.clock import SystemClock
from engine.service.engine import Engine
from engine.settings import Settings, keyring
from engine.store.database import open_database
from notifications.oa import OfficialAccount
from tests.notifications.accounts import PHONE, TRACKING, VALUES

settings, folder = Settings(), Path(sys.argv[1])
database = open_database(settings)
engine = Engine(database, keyring=keyring(settings))
(folder / f"ready-{sys.argv[2]}").touch()
while not (folder / "go").exists():
    time.sleep(0.005)
sent = OfficialAccount(engine, settings).send_to_phone(PHONE, VALUES, TRACKING, engine.clock.now())
print(sent.state, sent.code)
database.dispose()
"""


def _process(
    script: str, settings: Settings, zalo: ZaloStandIn, folder: Path, number: int
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment(settings, zalo)},
    )


def _wait(done: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)
