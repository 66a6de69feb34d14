"""`make demo`: plan 51 with a year of work, everything running, and where to look."""

import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import uvicorn

import dondoc
from bench import rehearsal
from engine.clock import SystemClock, at, local_day
from engine.service.engine import Engine
from engine.settings import Settings
from flows.attachments import attachments
from flows.processes import Parts, everything, require_free
from notifications.sending import Sender, deliver
from notifications.standin.mailbox import Mailbox
from notifications.standin.zalo import ZaloStandIn

MAIL_PORT, MAIL_PAGE_PORT, ZALO_PORT = 8025, 8026, 8027
TOKEN = "1:demo"  # noqa: S105  of the stand-in


def folder() -> Path:
    """Return where the demo keeps its data."""
    return Path(os.environ.get("DONDOC_DATA_DIR", ".demo")).resolve()


def run() -> None:
    """Start everything, tell where it is, serve until Ctrl-C."""
    began = perf_counter()
    data = folder()
    # The processes beside us read their settings from the environment, as in production.
    os.environ |= {
        "DONDOC_DATA_DIR": str(data),
        "DONDOC_SMTP_PORT": str(MAIL_PORT),
        "DONDOC_SMTP_SECURITY": "plain",
        "DONDOC_MAIL_FROM": "nhacviec@quangngai.example",
        "DONDOC_ZALO_BOT_TOKEN": TOKEN,
        "DONDOC_ZALO_BOT_URL": f"http://127.0.0.1:{ZALO_PORT}",
    }
    settings = Settings()
    require_free(settings.port, MAIL_PORT, MAIL_PAGE_PORT, ZALO_PORT)
    with ExitStack() as stack:
        mailbox = stack.enter_context(Mailbox(data / "mail", MAIL_PORT, MAIL_PAGE_PORT))
        zalo = stack.enter_context(ZaloStandIn(frozenset({TOKEN}), port=ZALO_PORT))
        _say("Khởi động PostgreSQL và Prefect… (starting PostgreSQL and Prefect)")
        parts = stack.enter_context(everything(settings))
        engine = parts.engine
        if not engine.plans.listed():
            _fill(engine, settings)
        # Beside the API: whoever wants to look need not wait for the flows of today.
        threading.Thread(target=_run_flows, args=(parts,), daemon=True).start()
        _say(_where_to_look(settings, mailbox.url, zalo.url, engine))
        _say(f"Sẵn sàng sau {perf_counter() - began:.0f} giây.")
        uvicorn.run(
            dondoc.application(engine, settings),
            host=settings.host,
            port=settings.port,
            log_level="warning",
        )


def _run_flows(parts: Parts) -> None:
    _say("Quét và gửi qua Prefect… (sweep and delivery through Prefect)")
    try:
        parts.run_flows("open-periods", "sweep-due", "deliver-outbox")
    except subprocess.CalledProcessError as failed:
        _say(f"Một luồng Prefect không hoàn thành (a flow did not complete): {failed}")
    else:
        _say("Đã quét và gửi qua Prefect (swept and delivered).")


def _fill(engine: Engine, settings: Settings) -> None:
    until = local_day(SystemClock().now())
    start = engine.at(at(rehearsal.ISSUED))
    rehearsal.load_reference(start)
    _say(f"Giao kế hoạch 51/KH-UBND ngày 07/03/2025: {rehearsal.assign(start)} phần việc")

    def tell(then: Engine) -> None:
        sent = deliver(then, settings, Sender(then, settings, attachments(then)))
        day = local_day(then.clock.now())
        _say(f"… {day:%d/%m/%Y}: {sent.get('accepted', 0)} tin đã gửi")

    rehearsal.replay(engine, until, tell)


def _where_to_look(settings: Settings, mail: str, zalo: str, engine: Engine) -> str:
    today = local_day(SystemClock().now())
    passed = sum(1 for t in engine.lists.tasks(plan=rehearsal.PLAN) if t["deadline_passed"])
    base = f"http://{settings.host}:{settings.port}"
    return f"""
Ngày {today:%d/%m/%Y}: {passed}/65 nhiệm vụ đã qua thời hạn.

  Trang web     {base}
  API           {base}/api/v1   (OpenAPI: {base}/api/v1/openapi.json)
  Hộp thư       {mail}   (mọi thư đã gửi)
  Zalo          {zalo}   (mọi tin đã gửi)

  Đăng nhập: mật khẩu chung “{rehearsal.PASSWORD}”
    cv.so-noi-vu   chuyên viên Sở Nội vụ          dp.skhcn   điều phối Sở KH&CN
    tt.so-noi-vu   thủ trưởng Sở Nội vụ           pct.ubnd-tinh   Phó Chủ tịch
    quantri        quản trị                       thanhtra   kiểm tra lịch sử

  Thử: DONDOC_DATA_DIR={settings.data_dir} .venv/bin/dondoc task list --plan 51/KH-UBND
Ctrl-C để dừng tất cả (stops everything); dữ liệu giữ lại ở {settings.data_dir}."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  the demo talks to a person
