"""Transitions per second through `Engine`, against pgbench writing the same rows.

pgbench runs four statements in one transaction on the same tables with the same triggers: lock
the assignment, update it, insert the event, insert the outbox row. Both commit durably.
"""

import multiprocessing
import os
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy.engine import make_url

from bench import loader
from engine.clock import FixedClock, at
from engine.service.engine import Engine, Request
from engine.settings import Settings
from engine.store.database import open_database

ASSIGNMENTS = 28_000
BULK = 1_000

_SCRIPT = r"""
\set a random({first}, {last})
BEGIN;
SELECT version + 1 AS seq FROM assignment WHERE id = :a FOR UPDATE \gset
UPDATE assignment SET version = :seq, facts = '{{"percent": 40, "progress": "Đang làm"}}',
  authors = '{{1}}', head = decode(repeat('ab', 32), 'hex') WHERE id = :a AND version = :seq - 1;
INSERT INTO event (assignment_id, seq, at, transition, from_state, to_state, actor_id, agency_code,
  role, data, changes, previous_hash, hash)
  VALUES (:a, :seq, now(), 'update_progress', 'in_progress', 'in_progress', 1, 'so-noi-vu',
  'officer', '{{"percent": 40, "progress": "Đang làm"}}', '{{"authors": [[], [1]]}}',
  decode(repeat('ab', 32), 'hex'), decode(repeat('ab', 32), 'hex'));
INSERT INTO outbox (topic, role, agency_code, assignment_id, seq, created_at)
  VALUES ('thuong-xuyen.update_progress', 'coordinator', 'skhcn', :a, :seq, now());
COMMIT;
"""


def run(seconds: float) -> dict[str, Any]:
    """Measure with 1 and 8 clients, and the bulk against one by one; return figures and ratios."""
    with loader.scratch() as (engine, settings):
        ids = loader.load(engine, ASSIGNMENTS, "thuong-xuyen", lambda _: None)
        figures: dict[str, Any] = {"seconds": seconds, "assignments": len(ids)}
        for clients, bar in ((1, 0.7), (8, 0.35)):
            # The first touch of a page after a checkpoint writes it whole: touch them all before,
            # then each before and after the other.
            _pgbench_rate(engine, ids, clients, seconds)
            ours = [_engine_rate(settings, ids, clients, seconds)]
            theirs = [_pgbench_rate(engine, ids, clients, seconds) for _ in range(2)]
            ours.append(_engine_rate(settings, ids, clients, seconds))
            rate, base = sum(ours) / 2, sum(theirs) / 2
            figures[f"clients_{clients}"] = {
                "engine_per_second": round(rate),
                "pgbench_per_second": round(base),
                "ratio": round(rate / base, 2),
                "bar": bar,
            }
        figures["bulk"] = _bulk(engine)
    return figures


def _engine_rate(settings: Settings, ids: list[int], clients: int, seconds: float) -> float:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(clients)
    done: Any = context.Queue()
    processes = [
        context.Process(target=_client, args=(settings.data_dir, ids, n, seconds, start, done))
        for n in range(clients)
    ]
    for process in processes:
        process.start()
    counts = [done.get(timeout=seconds + 60) for _ in processes]
    for process in processes:
        process.join()
    rate: float = sum(counts) / seconds
    return rate


def _client(  # noqa: PLR0913, PLR0917  what a process is handed
    data_dir: Path, ids: list[int], number: int, seconds: float, start: Any, done: Any
) -> None:
    database = open_database(Settings(data_dir=data_dir, database_url=None, pool_size=1))
    engine = Engine(database, FixedClock(at(loader.OPENED)))
    officers = {agency: engine.people.find(f"cv.{agency}").id for agency in loader.AGENCIES}
    chance = random.Random(number)  # noqa: S311  spreads load, keeps no secret
    data = {"percent": 40, "progress": "Đang làm"}
    first = ids[0]

    def once() -> None:
        chosen = chance.choice(ids)
        officer = officers[loader.AGENCIES[(chosen - first) % len(loader.AGENCIES)]]
        engine.fire(chosen, "update_progress", officer, data=data)

    for _ in range(50):
        once()
    start.wait()
    count = 0
    end = perf_counter() + seconds
    while perf_counter() < end:
        once()
        count += 1
    database.dispose()
    done.put(count)


def _pgbench_rate(engine: Engine, ids: list[int], clients: int, seconds: float) -> float:
    url = make_url(engine.database.url)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_SCRIPT.format(first=ids[0], last=ids[-1]))
        script.flush()
        said = subprocess.run(  # noqa: S603  our own command
            [
                _pgbench(),
                "-n",
                "-f",
                script.name,
                "-c",
                str(clients),
                "-j",
                "2",
                "-T",
                str(max(1, round(seconds))),
                "-M",
                "prepared",
                "-U",
                "postgres",
                "-h",
                str(url.query["host"]),
                str(url.database),
            ],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PGCLIENTENCODING": "UTF8"},
        ).stdout
    found = re.search(r"tps = ([\d.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])


def _pgbench() -> str:
    from engine.store import embedded  # noqa: PLC0415

    for folder in (str(embedded.programs()), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))):
        if found := shutil.which("pgbench", path=folder):
            return found
    if found := shutil.which("pgbench"):
        return found
    raise FileNotFoundError("pgbench (Debian: postgresql-contrib)")


def _bulk(engine: Engine) -> dict[str, Any]:
    """Approve 1,000 reports one by one, then 1,000 at once."""
    ids = loader.load(engine, 2 * BULK, "thuong-xuyen", lambda _: None)
    first = ids[0]
    mine = [i for i in ids if loader.AGENCIES[(i - first) % len(loader.AGENCIES)] != "skhcn"]
    reviewer = engine.people.find("dp.skhcn").id
    data = {"result": "Đã báo cáo", "percent": 100}
    for number in mine:
        agency = loader.AGENCIES[(number - first) % len(loader.AGENCIES)]
        engine.fire(number, "submit_report", engine.people.find(f"cv.{agency}").id, data=data)
    half = len(mine) // 2
    began = perf_counter()
    for number in mine[:half]:
        engine.fire(number, "approve_report", reviewer)
    one_by_one = perf_counter() - began
    began = perf_counter()
    results = engine.fire_many(
        [Request(n) for n in mine[half : 2 * half]], "approve_report", reviewer
    )
    at_once = perf_counter() - began
    if not all(r.fired for r in results):
        raise RuntimeError("a row of the bulk was refused")
    return {
        "rows": half,
        "one_by_one_seconds": round(one_by_one, 3),
        "at_once_seconds": round(at_once, 3),
        "ratio": round(one_by_one / at_once, 1),
        "bar": 10,
    }
