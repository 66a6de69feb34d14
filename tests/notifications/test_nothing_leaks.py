"""No secret and no whole address anywhere it can be read: logs, errors, names, the database.

Everything is logged, and the other sides are as talkative as they can be: they repeat what they
were sent, headers and body, in every refusal.
"""

import base64
import json
import logging
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy as sa

from engine.channels import Outcome, OutcomeState
from engine.clock import at
from engine.errors import EngineError
from engine.sealing import KeyRing
from engine.service.credentials import AccessToken, Credential, TokenPair
from engine.service.engine import Engine
from engine.service.people import NewPerson
from engine.settings import Settings
from notifications import bounces
from notifications.bot import Answer, BotClient, Incoming, listen
from notifications.channels.mail import GovMail, Mail, SmtpServer, SmtpSession
from notifications.channels.stock import StockUrl
from notifications.channels.zbot import ZaloBot
from notifications.channels.zbs import ZaloPhone, ZaloUser
from notifications.oa import OfficialAccount
from notifications.secrets import protect_logs, without
from notifications.sending import Sender, deliver, try_out
from notifications.standin.mailbox import LocalSmtp
from notifications.standin.zalo import ZaloStandIn
from notifications.zalo_webhook import WebhookRefused, receive, secret_pairs
from tests.databases import SEAL_KEYS
from tests.factories import people, person
from tests.notifications.accounts import VALUES, an_account
from tests.notifications.authority import Authority
from tests.notifications.mails import running, scripted
from tests.notifications.sent import WAYS, mine, planned, write
from tests.notifications.test_zalo_bot import an_update

LOGIN = "cv.so-noi-vu"
SECRETS = {
    "smtp_password": "pass/word+SMTP=7f3aqZ9",
    "zalo_bot_token": "7391846250:QwErTyUiOpAsDfGhJkLzXcVb",
    "zalo_bot_webhook_secret": "webhook-of-the-bot-5521",
    "zalo_app_secret": "app+secret/of=oa-88aa",
    "zalo_webhook_secrets": "2074138120372622546:webhook-of-the-oa-9913",
    "mail_bounce_imap_password": "imap/password&1177xyz",
}
ACCESS, REFRESH = "first-access-aa11bb22cc33", "first-refresh-dd44ee55ff66"
MAIL, CHAT = "nguyen.van.uoc2711@quangngai.example", "chat9f8e7d6c5b4a3"
PHONE, USER = "84987650123", "4612345678901234567"
ADDRESSES = {"email": MAIL, "zalo_bot": CHAT, "zalo_zbs": PHONE, "zalo_uid": USER}


def forms(secret: str) -> set[str]:
    """What a secret looks like when somebody passes it on."""
    raw = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        json.dumps(secret)[1:-1],
    }


def leaked(said: str, secrets: list[str]) -> list[str]:
    return sorted({s for s in secrets for form in forms(s) if form in said})


def every_secret(*more: str) -> list[str]:
    signed = [
        f"\0nhacviec\0{SECRETS['smtp_password']}",
        f"\0bounce\0{SECRETS['mail_bounce_imap_password']}",
    ]
    others = [a for p in people() for a in p.contacts.values()]
    national = PHONE.removeprefix("84")
    own = [SECRETS["zalo_webhook_secrets"].partition(":")[2], SEAL_KEYS.partition(":")[2]]
    return [
        *(s for name, s in SECRETS.items() if name != "zalo_webhook_secrets"),
        *own,
        *(ACCESS, REFRESH, MAIL, CHAT, PHONE, f"0{national}", USER),
        *signed,
        *others,
        *more,
    ]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything every logger says, from here on."""
    protect_logs()
    known = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    levels = [(logger, logger.level) for logger in (logging.root, *known)]
    caplog.handler.setLevel(logging.DEBUG)
    _talk()
    yield caplog
    for logger, level in levels:
        logger.setLevel(level)


def _talk() -> None:
    for name in ("", *logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # of aiosmtpd, the other side


@pytest.fixture
def post() -> Iterator[int]:
    """A mail server that knows the password and takes everything."""
    from aiosmtpd.smtp import AuthResult, LoginPassword

    class Taking:
        async def handle_DATA(self, *_: object) -> str:
            return "250 OK"

    def sign_in(*given: Any) -> AuthResult:
        data = given[-1]
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password.decode() == SECRETS["smtp_password"])

    smtp = LocalSmtp(Taking(), auth_require_tls=False, authenticator=sign_in)
    with running(smtp) as port:
        yield port


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    account = an_account(
        app_secret=SECRETS["zalo_app_secret"], access_token=ACCESS, refresh_token=REFRESH
    )
    token = frozenset({SECRETS["zalo_bot_token"]})
    with ZaloStandIn(token, account=account, clock=lambda: at(date(2025, 10, 1), 12)) as running_:
        yield running_


@contextmanager
def talkative() -> Iterator[str]:
    """A server that repeats whatever it is sent in the refusals of all Zalo's interfaces."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            said = f"{body} {self.path} {dict(self.headers)}"
            answer = {
                "ok": False,
                "error_code": f"no {self.path}",
                "description": said,
                "error": f"no {dict(self.headers)}",
                "error_name": said,
                "message": said,
            }
            raw = json.dumps(answer).encode()
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST  # noqa: N815  name of the library

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def repeating(refused: str) -> Callable[[socketserver.StreamRequestHandler], None]:
    """A mail server that refuses one verb and repeats the line; "." the text itself."""

    def handle(connection: socketserver.StreamRequestHandler) -> None:
        connection.wfile.write(b"220 ready\r\n")
        seen: list[str] = []
        for raw in connection.rfile:
            line = raw.decode("utf-8", "replace").strip()
            verb = line.split(" ")[0].upper()
            seen.append(line)
            answer = {
                "EHLO": "250-here\r\n250 AUTH PLAIN LOGIN",
                "AUTH": "235 ok",
                "DATA": "354 go",
            }
            if verb == refused:
                connection.wfile.write(f"554 5.7.0 you said {' / '.join(seen)}\r\n".encode())
                continue
            connection.wfile.write(f"{answer.get(verb, '250 ok')}\r\n".encode())
            if verb == "DATA":
                text = b"".join(iter(connection.rfile.readline, b".\r\n")).decode()
                to = next(part for part in text.splitlines() if part.startswith("To:"))
                said = f"554 {to} {' / '.join(seen)}" if refused == "." else "250 ok"
                connection.wfile.write(f"{said}\r\n".encode())

    return handle


def settings_of(post: int, url: str, **values: Any) -> Settings:
    given: dict[str, Any] = {
        "smtp_port": post,
        "smtp_security": "plain",
        "smtp_user": "nhacviec",
        "mail_from": "nhacviec@quangngai.example",
        "mail_bounce_address": "bounce@quangngai.example",
        "mail_bounce_imap_user": "bounce",
        "seal_keys": SEAL_KEYS,
        "zalo_bot_url": url,
        "zalo_oa_id": "2893352839501541173",
        "zalo_oauth_url": url,
        "zalo_oa_url": url,
        "zalo_zns_url": url,
        "zalo_zbs_template": "t1",
        "zalo_uid_template": "t1",
        **SECRETS,
        **values,
    }
    return Settings(**given)


@pytest.fixture
def october(plan_51: Engine, zalo: ZaloStandIn) -> Engine:
    """The engine on 01/10/2025; one officer with an address on every channel."""
    for channel, address in ADDRESSES.items():
        plan_51.contacts.set(person(plan_51, LOGIN), channel, address)
    with plan_51.database.begin() as connection:  # a day of few people says as much
        connection.execute(
            sa.text(
                "UPDATE person SET active = false WHERE login NOT LIKE '%.so-noi-vu' "
                "AND login NOT LIKE '%.skhcn' AND login NOT IN ('pct.ubnd-tinh', 'cv.so-y-te')"
            )
        )
    account = zalo.account
    plan_51.credentials.connect(account.oa_id, account.app_id, ACCESS, REFRESH, 90_000)
    return plan_51.at(at(date(2025, 10, 1)))


def days(engine: Engine) -> Iterator[Engine]:
    """The engine at eight o'clock of one working day after the other, each swept."""
    day = date(2025, 10, 1)
    while True:
        then = engine.at(at(day))
        if then.calendars.read().is_working(day):
            then.sweeps.run()
            yield then
        day += timedelta(days=7)


def every_row(database: sa.Engine) -> str:
    """Everything every table holds, as text."""
    said = []
    with database.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'SELECT CAST(t AS text) FROM "{table}" t'))
            said += [f"{table}: {row[0]}" for row in rows]
    return "\n".join(said)


class TestAWorkingDay:
    def test_a_day_on_which_everything_goes_well_leaks_nothing(
        self, october: Engine, post: int, zalo: ZaloStandIn, log: pytest.LogCaptureFixture
    ) -> None:
        settings = settings_of(post, zalo.url)
        october.sweeps.run()
        _talk()

        sender = Sender(october, settings)
        _talk()
        done = deliver(october, settings, sender)
        account = OfficialAccount(october, settings)
        noon = at(date(2025, 10, 1), 12)
        sent = [account.send_to_phone(PHONE, VALUES, "T1", noon)]
        sent.append(account.send_to_user(USER, VALUES, noon))
        account.rotate()
        sent.append(account.send_to_phone(PHONE, VALUES, "T2", noon))
        tried = [
            try_out(october, settings, sender, channel, october.people.find(LOGIN))
            for channel in ("email", "zalo_bot")
        ]
        sender.close()
        code, _ = october.contacts.link_code(person(october, "cv.so-y-te"))
        for number, (chat, text) in enumerate(((CHAT, "NHAN 5"), ("chat-of-another-77", code))):
            zalo.receive(an_update(text, f"u{number}", chat))
        bot = BotClient(zalo.url, SECRETS["zalo_bot_token"])
        answered = listen(october, bot, 0)

        assert done["accepted"] > 8
        assert {o.state for o in sent + tried} == {OutcomeState.ACCEPTED}
        assert answered == 2
        assert mine(october, LOGIN)["email"]["state"] == "accepted"
        fresh = (zalo.account.access_token, zalo.account.refresh_token, "chat-of-another-77")
        assert "sendMessage" in log.text  # the calls themselves are logged
        assert leaked(log.text, every_secret(*fresh)) == []
        assert leaked(every_row(october.database), every_secret(*fresh)) == []

    def test_days_of_faults_leak_nothing(
        self,
        october: Engine,
        post: int,
        zalo: ZaloStandIn,
        log: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings = settings_of(post, zalo.url)
        calendar = days(october)
        states: set[str] = set()
        token = SECRETS["zalo_bot_token"]

        def broken(*_: object) -> Outcome:
            raise ZeroDivisionError(f"https://bot-api.example/bot{token}/sendMessage: refused")

        with monkeypatch.context() as patch:
            patch.setattr(ZaloBot, "attempt", broken)
            then = next(calendar)
            sender = Sender(october, settings)
            _talk()
            states |= set(deliver(then, settings, sender))

        for fault in ("307", "429", "500", "accept_then_reset"):
            zalo.fail_next(*[fault] * 30)
            then = next(calendar)
            then.gateways.resume(WAYS, "zalo_bot")
            sender = Sender(october, settings)
            _talk()
            states |= set(deliver(then, settings, sender))
            zalo._state.faults.clear()
        assert {"accepted", "unknown", "retry", "parked"} <= states
        assert "ZeroDivisionError" in log.text
        assert "bot-api.example" in log.text
        assert leaked(log.text, every_secret()) == []
        assert leaked(every_row(october.database), every_secret()) == []


class TestTalkativeServers:
    def test_a_zalo_that_repeats_everything_leaks_nothing(
        self, october: Engine, post: int, log: pytest.LogCaptureFixture
    ) -> None:
        said: list[str] = []
        with talkative() as url:
            settings = settings_of(post, url)
            october.sweeps.run()
            sender = Sender(october, settings)
            _talk()
            deliver(october, settings, sender)
            bot = BotClient(url, SECRETS["zalo_bot_token"])
            account = OfficialAccount(october, settings)
            noon = at(date(2025, 10, 1), 12)
            outcomes = [
                account.send_to_phone(PHONE, VALUES, "T1", noon),
                account.send_to_user(USER, VALUES, noon),
                bot.send(Answer(CHAT, "x")),
            ]
            for ask in (
                bot.get_me,
                lambda: list(bot.updates(0)),
                lambda: bot.set_webhook("https://x.example", SECRETS["zalo_bot_webhook_secret"]),
                account.quota,
                account.profile,
                account.rotate,
                lambda: account.message_status("m1"),
            ):
                with pytest.raises(EngineError) as refused:
                    ask()
                said += [str(refused.value), refused.value.sentence.vi, repr(refused.value)]
        status = october.credentials.listed()

        said += [repr(o) for o in outcomes] + [repr(status)]
        assert all("***" in o.text for o in outcomes)
        assert status[0].last_error is not None
        assert leaked("".join(said), every_secret()) == []
        assert leaked(log.text, every_secret()) == []
        assert leaked(every_row(october.database), every_secret()) == []

    @pytest.mark.parametrize("verb", ["AUTH", "RCPT", "."])
    def test_a_mail_server_that_repeats_everything_leaks_nothing(
        self, october: Engine, log: pytest.LogCaptureFixture, verb: str
    ) -> None:
        october.sweeps.run()
        with scripted(repeating(verb)) as port:
            settings = settings_of(port, "http://127.0.0.1:9", zalo_bot_token=None)
            sender = Sender(october, settings)
            _talk()
            done = deliver(october, settings, sender)
            tried = try_out(october, settings, sender, "email", october.people.find(LOGIN))
            sender.close()

        assert "accepted" not in done
        assert "***" in tried.text
        assert leaked(log.text + repr(tried), every_secret()) == []
        assert leaked(every_row(october.database), every_secret()) == []

    def test_an_imap_server_that_repeats_the_sign_in_leaks_nothing(
        self, october: Engine, tmp_path: Path, log: pytest.LogCaptureFixture
    ) -> None:
        authority = Authority(tmp_path)
        tls = authority.context()

        def handle(connection: socketserver.StreamRequestHandler) -> None:
            with tls.wrap_socket(connection.request, server_side=True) as own:
                file = own.makefile("rwb", buffering=0)
                file.write(b"* OK ready\r\n")
                while line := file.readline():
                    tag, verb, *_ = line.split()
                    if verb == b"AUTHENTICATE":
                        file.write(b"+ \r\n")
                        file.write(tag + b" NO you said " + file.readline())
                        continue
                    said = {b"CAPABILITY": b"CAPABILITY IMAP4rev1 AUTH=PLAIN"}.get(verb, b"BYE")
                    file.write(b"* " + said + b"\r\n" + tag + b" OK done\r\n")
                file.close()

        with scripted(handle) as port:
            settings = settings_of(
                9,
                "http://127.0.0.1:9",
                mail_bounce_imap_host="127.0.0.1",
                mail_bounce_imap_port=port,
                smtp_ca_file=authority.file,
            )
            with pytest.raises(bounces.MailboxProblem, match="you said") as refused:
                bounces.take_in(october, settings)
            logging.getLogger("prefect").error("the flow failed", exc_info=refused.value)

        assert "***" in str(refused.value)
        assert refused.value.__suppress_context__
        assert leaked(str(refused.value) + log.text, every_secret()) == []


def _ready(engine: Engine) -> Any:
    """A delivery whose sending has begun."""
    later = planned(engine, at(date(2025, 10, 8)))
    later.deliveries.claim(WAYS, "w", 500)
    ready = later.deliveries.begin(mine(later, LOGIN)["zalo_bot"]["id"], "w", WAYS, write)
    assert ready is not None
    return ready


def test_no_name_of_anything_tells_a_secret(
    october: Engine, post: int, zalo: ZaloStandIn, tmp_path: Path
) -> None:
    settings = settings_of(post, zalo.url, database_url="postgresql://u:db-pass-3391@h/x")
    smtp = SmtpServer(
        "h", 25, "plain", "a@x.example", "n", "nhacviec", SECRETS["smtp_password"], tmp_path
    )
    session = SmtpSession(smtp)
    moment = october.clock.now()
    mail = Mail(MAIL, "Ước", "", "<m@x>", moment)
    token = SECRETS["zalo_bot_token"]
    named: list[object] = [
        *(settings, settings.model_dump(), Sender(october, settings), october, october.keyring),
        *(KeyRing.parse(SEAL_KEYS), smtp, session, mail, GovMail(session, mail)),
        *(BotClient("http://h", token), ZaloBot("http://h", token, CHAT)),
        ZaloPhone("http://h", ACCESS, PHONE, "t1", {}, "T1", moment),
        ZaloUser("http://h", ACCESS, USER, "t1", {}, moment),
        StockUrl(f"json://user:{SECRETS['smtp_password'].replace('/', '')}@h.example/x"),
        *(AccessToken(ACCESS, 1), Credential("o", "a", REFRESH), TokenPair(ACCESS, REFRESH, 1)),
        secret_pairs(SECRETS["zalo_webhook_secrets"]),
        bounces.ImapServer("h", 993, "bounce", SECRETS["mail_bounce_imap_password"]),
        Incoming(CHAT, "Ước", "x", "u1"),
        NewPerson("l", "n", [], {"email": MAIL}, "password-of-a-person"),
        october.contacts.listed(person(october, LOGIN), whole=True),
        _ready(october),
    ]

    said = "\n".join(f"{one!r}\n{one!s}" for one in named)

    assert "KeyRing(test)" in said
    assert leaked(said, every_secret("db-pass-3391", "password-of-a-person")) == []


def test_a_forged_webhook_call_does_not_tell_what_it_should_be_signed_with(
    log: pytest.LogCaptureFixture,
) -> None:
    pairs = secret_pairs(SECRETS["zalo_webhook_secrets"])
    raw = b'{"timestamp": "1759294800000", "event_name": "user_received_message"}'

    with pytest.raises(WebhookRefused) as refused:
        receive(raw, "mac=0", pairs, at(date(2025, 10, 1), 12))

    assert leaked(str(refused.value) + log.text, every_secret()) == []


def test_a_command_that_logs_everything_prints_no_secret(
    october: Engine, plan_51_settings: Settings, post: int
) -> None:
    october.sweeps.run()
    script = (
        "import logging, sys; logging.basicConfig(level=logging.DEBUG)\n"
        "import apprise, dondoc, urllib3\n"
        "from notifications import secrets, sending\n"
        "def talk():\n"
        "    secrets.protect_logs()\n"
        "    for name in ('', 'apprise', 'urllib3'):\n"
        "        logging.getLogger(name).setLevel(logging.DEBUG)\n"
        "sending.protect_logs = talk\n"
        "sys.argv = ['dondoc', *sys.argv[1:]]; dondoc.main()\n"
    )
    assert plan_51_settings.database_url is not None
    with talkative() as url:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DONDOC_DATABASE_URL": plan_51_settings.database_url.get_secret_value(),
            "DONDOC_SEAL_KEYS": SEAL_KEYS,
            "DONDOC_SMTP_PORT": str(post),
            "DONDOC_SMTP_SECURITY": "plain",
            "DONDOC_SMTP_USER": "nhacviec",
            "DONDOC_MAIL_FROM": "nhacviec@quangngai.example",
            "DONDOC_ZALO_BOT_URL": url,
            **{f"DONDOC_{name.upper()}": value for name, value in SECRETS.items()},
        }

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", script, *arguments],
                capture_output=True,
                text=True,
                env=environment,
                check=False,
            )

        sent = run("deliver", "--as-of", "2025-10-01", "--json")
        tried = run("gateways", "test", "zalo_bot", "--to", LOGIN)

    said = sent.stdout + sent.stderr + tried.stdout + tried.stderr
    assert json.loads(sent.stdout)["accepted"] > 5
    assert (sent.returncode, tried.returncode) == (0, 1)
    assert "sendMessage" in said
    assert leaked(said, every_secret()) == []


@pytest.mark.parametrize(
    "said",
    [
        "token {}",
        "b64 {b64}",
        "at /bot{quoted}/sendMessage",
        "cut at the end {cut}",
        '{{"text": "{json}"}}',
    ],
)
def test_a_secret_is_taken_out_of_a_text_however_it_is_written(said: str) -> None:
    secret = "ab/c+d=é12:34"
    text = said.format(
        secret,
        b64=base64.b64encode(secret.encode()).decode(),
        quoted=quote(secret, safe=""),
        cut=secret[:9],
        json=json.dumps(secret)[1:-1],
    )

    shown = without(text, secret, None, "")

    assert "***" in shown
    assert leaked(shown, [secret, secret[:9]]) == []
