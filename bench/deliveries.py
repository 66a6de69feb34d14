"""A quarter end from the sweep to the last mail taken, and the planning of many recipients."""

import resource
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import sqlalchemy as sa

from bench import loader, rehearsal
from engine.clock import at
from engine.service.engine import Engine
from engine.service.people import NewPerson
from engine.settings import Settings
from flows.attachments import attachments
from notifications.sending import Sender, deliver
from notifications.standin.mailbox import Mailbox
from notifications.ways import ways

QUARTER, FIRST_DAY = "2025Q3", date(2025, 10, 1)
PERIODS = (date(2025, 4, 1), date(2025, 7, 1), FIRST_DAY)
ROWS = 950


def run(recipients: int) -> dict[str, Any]:
    """Send the end of a quarter of plan 51 with every period open; plan for `recipients`."""
    figures: dict[str, Any] = {
        "quarter_end": _quarter_end(),
        "planning": _planning(recipients),
    }
    figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return figures


def _quarter_end() -> dict[str, Any]:
    with loader.scratch() as (engine, _), tempfile.TemporaryDirectory() as folder:
        rehearsal.assign(engine)
        for day in PERIODS:
            engine.at(at(day)).periods.open()
        then = engine.at(at(FIRST_DAY))
        with Mailbox(Path(folder)) as mailbox:
            settings = Settings(smtp_port=mailbox.smtp_port, smtp_security="plain")
            statements = _counted(then)
            began = perf_counter()
            then.sweeps.run()
            then.sweeps.quarter(QUARTER)
            swept = perf_counter()
            sent = deliver(then, settings, Sender(then, settings, attachments(then)))
            done = perf_counter()
            mails = mailbox.messages()
        sizes = sorted(path.stat().st_size for path in Path(folder).glob("*.eml")) if mails else []
        return {
            "open_assignments": _open(then),
            "mails": len(mails),
            "recipients": len({str(mail["To"]) for mail in mails}),
            "most_to_one": max(Counter(str(mail["To"]) for mail in mails).values()),
            "accepted": sent["accepted"],
            "sweep_seconds": round(swept - began, 2),
            "planned_and_sent_seconds": round(done - swept, 2),
            "seconds": round(done - began, 2),
            "bar": 60,
            "statements_a_mail": round(statements["all"] / len(mails), 1),
            "median_kb": sizes[len(sizes) // 2] // 1024,
            "largest_kb": sizes[-1] // 1024,
        }


def _planning(recipients: int) -> dict[str, Any]:
    with loader.scratch() as (engine, _):
        engine.people.save(
            [
                NewPerson(
                    login=f"cv.{number}",
                    full_name=f"Người nhận {number}",
                    grants=[
                        ("officer", loader.AGENCIES[number % len(loader.AGENCIES)], loader.OPENED,
                         None)
                    ],
                    contacts={"email": f"cv.{number}@quangngai.example"},
                )
                for number in range(recipients)
            ]
        )  # fmt: skip
        loader.load(engine, ROWS // 10, "assigned-task", lambda _: date(2025, 9, 30))
        then = engine.at(at(FIRST_DAY))
        then.sweeps.run()
        began = perf_counter()
        planned = then.messages.plan(ways(Settings()))
        seconds = perf_counter() - began
        with engine.database.connect() as connection:
            items = connection.execute(sa.text("SELECT count(*) FROM message_item")).scalar_one()
        return {
            "messages": planned.messages,
            "deliveries": planned.deliveries,
            "items": items,
            "seconds": round(seconds, 2),
            "bar": 30,
        }


def _open(engine: Engine) -> int:
    with engine.database.connect() as connection:
        query = "SELECT count(*) FROM assignment WHERE phase IN ('open', 'review')"
        return int(connection.execute(sa.text(query)).scalar_one())


def _counted(engine: Engine) -> Counter[str]:
    statements: Counter[str] = Counter()
    sa.event.listen(
        engine.database,
        "before_cursor_execute",
        lambda *_: statements.update(["all"]),
    )
    return statements
