"""dondoc: composition root and command line.

Every command prints data to stdout and everything else to stderr; exit 0 done, 1 refused or
invalid, 2 wrong usage.
"""

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.clock import ZONE, at, local_day
from engine.errors import EngineError, InvalidData, Sentence
from engine.service.contacts import require_channel
from engine.service.engine import Engine
from engine.settings import Settings, keyring

if TYPE_CHECKING:
    from fastapi import FastAPI

    from engine.service.changes import PlanChanged
    from engine.service.imports import Imported, PrintedPlan
    from engine.wording import Place

app = typer.Typer(
    name="dondoc",
    help="Theo dõi, đôn đốc nhiệm vụ được giao (follow up and urge assigned tasks).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
db = typer.Typer(help="Lược đồ và sao lưu (schema and backups).", no_args_is_help=True)
plan = typer.Typer(help="Kế hoạch (plans).", no_args_is_help=True)
task = typer.Typer(help="Nhiệm vụ (tasks).", no_args_is_help=True)
assignment = typer.Typer(help="Phần việc (assignments).", no_args_is_help=True)
definition = typer.Typer(help="Quy trình (definitions).", no_args_is_help=True)
directory = typer.Typer(help="Danh bạ cơ quan (agencies).", no_args_is_help=True)
calendar = typer.Typer(help="Lịch làm việc (working calendar).", no_args_is_help=True)
user = typer.Typer(help="Người dùng (people).", no_args_is_help=True)
deliveries = typer.Typer(help="Các lượt gửi tin (deliveries).", no_args_is_help=True)
gateways = typer.Typer(help="Các cổng gửi: e-mail, Zalo (ways out).", no_args_is_help=True)
contact = typer.Typer(help="Địa chỉ nhận tin của một người (contacts).", no_args_is_help=True)
zalo_bot = typer.Typer(help="Bot Zalo (the bot).", no_args_is_help=True)
oa = typer.Typer(help="Official Account của Zalo (its tokens).", no_args_is_help=True)
keys = typer.Typer(help="Khóa niêm phong (sealing keys).", no_args_is_help=True)
history = typer.Typer(help="Lịch sử (history).", no_args_is_help=True)
measurement = typer.Typer(help="Đo tốc độ (measurements).", no_args_is_help=True)
for name, group in {
    "db": db,
    "plan": plan,
    "task": task,
    "assignment": assignment,
    "definition": definition,
    "directory": directory,
    "calendar": calendar,
    "user": user,
    "contact": contact,
    "deliveries": deliveries,
    "gateways": gateways,
    "bot": zalo_bot,
    "oa": oa,
    "keys": keys,
    "history": history,
    "bench": measurement,
}.items():
    app.add_typer(group, name=name)


def _moment(text: str) -> datetime:
    try:
        if len(text) == len("2025-10-01"):
            return at(date.fromisoformat(text))
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r}: viết như 2025-10-01 hoặc 2025-10-01T08:00+07:00 "
            "(write 2025-10-01 or 2025-10-01T08:00+07:00)"
        )
    return moment


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise typer.BadParameter(f"{text!r}: viết như 2025-10-01 (write 2025-10-01)") from problem


AsJson = Annotated[bool, typer.Option("--json", help="In JSON (print JSON).")]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", parser=_moment, metavar="NGÀY", help="Diễn tập ngày này (rehearse)."),
]
Due = Annotated[
    date | None,
    typer.Option("--due", parser=_day, metavar="NGÀY", help="Thử thời hạn này (try this date)."),
]
ActorLogin = Annotated[str, typer.Option("--actor", metavar="LOGIN", help="Ai làm (who does it).")]
Reason = Annotated[str, typer.Option(help="Lý do, số văn bản (why, the paper).")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


@app.callback()
def _language(
    lang: Annotated[str | None, typer.Option(help="vi | en")] = None,
) -> None:
    if lang is not None:
        if lang not in {"vi", "en"}:
            raise typer.BadParameter("vi | en")
        _State.language = lang


class _State:
    """The language the messages of this run are printed in."""

    language: str | None = None


def main() -> None:
    """Run the command line; what the engine refuses becomes one line and exit 1."""
    from notifications.secrets import protect_logs

    protect_logs()
    try:
        app()
    except EngineError as refusal:
        language = _State.language or Settings().language
        print(" ".join(refusal.sentence.into(language).split()), file=sys.stderr)
        sys.exit(1)


@contextmanager
def _engine(as_of: datetime | None = None) -> Iterator[Engine]:
    """Yield an engine on a database whose schema is the one this version needs."""
    from engine.store import migrations
    from engine.store.database import open_database

    settings = Settings()
    database = open_database(settings)
    try:
        migrations.require_current(migrations.check(database))
        engine = Engine(database, keyring=keyring(settings))
        yield engine if as_of is None else engine.at(as_of)
    finally:
        database.dispose()


def _print(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def _say(vi: str, en: str) -> None:
    language = _State.language or Settings().language
    print(en if language == "en" else vi, file=sys.stderr)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns)
    for row in rows:
        table.add_row(*map(_cell, row))
    # What is piped on has no width of its own: words stay together there.
    Console(width=None if sys.stdout.isatty() else _PIPED).print(table)


def _cell(value: Any) -> str:
    """Return a value as a table shows it; moments in the time of Vietnam."""
    if isinstance(value, datetime):
        return f"{value.astimezone(ZONE):%H:%M:%S %d/%m/%Y}"
    return "" if value is None else str(value)


_BEYOND = "ngoài lịch (not in the calendar)"
_PIPED = 240
"""Width of a table that goes to a file or another program, in characters."""


@contextmanager
def _progress(what: str) -> Iterator[Any]:
    """Yield a function that shows how many were done, on stderr when it is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(what + " {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        running = bar.add_task(what)
        yield lambda done: bar.update(running, completed=done)


# --- running -----------------------------------------------------------------------------------


@app.command()
def up(
    host: Annotated[str | None, typer.Option()] = None,
    port: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Chạy tất cả trên một máy: PostgreSQL, Prefect, API (everything on one machine)."""
    from flows.processes import everything

    settings = _settings(host, port)
    with everything(settings) as parts:
        _serve(parts.engine, settings)


@app.command()
def api(
    host: Annotated[str | None, typer.Option()] = None,
    port: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Chạy riêng API (the API alone)."""
    with _engine() as engine:
        engine.check_ready()
        _serve(engine, _settings(host, port))


@app.command()
def worker() -> None:
    """Chạy riêng các luồng Prefect (the flows alone; needs PREFECT_API_URL)."""
    if "PREFECT_API_URL" not in os.environ:
        # Without it Prefect would start a server of its own for this process, unseen.
        raise EngineError(
            Sentence(
                "Chưa đặt PREFECT_API_URL. Đặt địa chỉ máy chủ Prefect, hoặc dùng dondoc up.",
                "PREFECT_API_URL is not set. Name the Prefect server, or use dondoc up.",
            )
        )
    from flows import schedule

    with _engine() as engine:
        engine.check_ready()
    schedule.main()


@app.command()
def demo() -> None:
    """Bản trình diễn: kế hoạch 51 với một năm làm việc (plan 51 with a year of work)."""
    from bench import demo as demonstration

    demonstration.run()


def _settings(host: str | None = None, port: int | None = None) -> Settings:
    settings = Settings()
    return settings.model_copy(
        update={"host": host or settings.host, "port": settings.port if port is None else port}
    )


def _serve(engine: Engine, settings: Settings) -> None:
    import uvicorn

    address = f"http://{settings.host}:{settings.port}"
    _say(
        f"Trang web: {address} · API: {address}/api/v1 (Ctrl-C để dừng)",
        f"Pages: {address} · API: {address}/api/v1 (Ctrl-C stops)",
    )
    uvicorn.run(
        application(engine, settings), host=settings.host, port=settings.port, log_level="warning"
    )


def application(engine: Engine, settings: Settings) -> "FastAPI":
    """Return the API with the pages beside it."""
    from api.application import create_app
    from web.application import create_pages

    app = create_app(engine, settings)
    app.mount("/", create_pages(engine, settings))
    return app


# --- database ----------------------------------------------------------------------------------


@db.command("upgrade")
def db_upgrade() -> None:
    """Nâng lược đồ lên phiên bản mới nhất (bring the schema up to date)."""
    from engine.store import migrations
    from engine.store.database import open_database

    settings = Settings()
    database = open_database(settings)
    try:
        before = migrations.upgrade(database, settings)
    finally:
        database.dispose()
    _say(
        f"Lược đồ: {before.current or 'trống'} → {before.head}",
        f"Schema: {before.current or 'empty'} → {before.head}",
    )


@db.command("check")
def db_check(as_json: AsJson = False) -> None:
    """Kiểm tra cơ sở dữ liệu, lược đồ, quy trình (is everything as it must be)."""
    with _engine() as engine:
        engine.check_ready()
    if as_json:
        _print({"status": "ready"})
    else:
        _say("Sẵn sàng.", "Ready.")


@db.command("backup")
def db_backup(file: Path) -> None:
    """Sao lưu vào một tệp (back up into a file)."""
    from engine.store import migrations

    migrations.backup(Settings(), file)
    _say(f"Đã sao lưu vào {file}", f"Backed up into {file}")


@db.command("restore")
def db_restore(file: File) -> None:
    """Khôi phục vào cơ sở dữ liệu trống (restore into an empty database)."""
    from engine.store import migrations

    state = migrations.restore(Settings(), file)
    _say(f"Đã khôi phục, lược đồ {state.current}", f"Restored, schema {state.current}")


# --- reference data ----------------------------------------------------------------------------


@directory.command("load")
def directory_load(
    file: File,
    people: Annotated[
        Path | None, typer.Option(exists=True, help="Tệp người dùng (people file)")
    ] = None,
) -> None:
    """Nạp cơ quan, nhóm (và người dùng) từ YAML (load agencies, groups, people)."""
    from definitions import loader

    found = loader.directory(file)
    persons = [] if people is None else loader.people(people)
    with _engine() as engine:
        engine.agencies.load(found)
        engine.people.save(persons)
    _say(
        f"{len(found.agencies)} cơ quan, {len(found.groups)} nhóm, {len(persons)} người",
        f"{len(found.agencies)} agencies, {len(found.groups)} groups, {len(persons)} people",
    )


@directory.command("reorganise")
def directory_reorganise(
    file: File,
    choices: Annotated[
        Path | None, typer.Option(exists=True, help="Tệp chọn nơi tiếp nhận (choices)")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Thực hiện (do it)")] = False,
    actor: Annotated[
        str | None, typer.Option(metavar="LOGIN", help="Ai làm (who does it).")
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Sắp xếp cơ quan, chuyển giao việc đang mở; xem trước nếu không có --apply (reorganise)."""
    from definitions import loader
    from engine.service.export import reorganised_json
    from engine.service.reorganisation import OUTCOMES

    if apply and actor is None:
        raise typer.BadParameter("--apply cần --actor LOGIN (--apply needs --actor LOGIN)")
    reorganisation = loader.reorganisation(file)
    chosen = [] if choices is None else loader.choices(choices)
    with _engine(as_of) as engine:
        if apply and actor is not None:
            person_id = engine.people.find(actor).id
            result = engine.reorganisation.apply(reorganisation, chosen, person_id)
        else:
            result = engine.reorganisation.preview(reorganisation, chosen)
    data = reorganised_json(result)
    language = _State.language or Settings().language
    if as_json:
        _print(data)
    else:
        _table(
            (
                "mã",
                "kế hoạch",
                "TT",
                "cơ quan",
                "kỳ",
                "hạn",
                "trạng thái",
                "nơi tiếp nhận",
                "kết quả",
            ),
            [
                (
                    h.left.id,
                    h.left.plan,
                    h.left.task,
                    h.left.agency,
                    h.left.period,
                    h.left.due_on,
                    h.left.state,
                    ", ".join(h.successors or h.proposed),
                    (h.refusal.sentence if h.refusal else OUTCOMES[h.outcome]).into(language),
                )
                for h in result.handovers
            ],
        )
    waiting, counts = len(result.waiting), data["counts"]
    refused = counts.get("refused", 0)
    chosen_ones = len(result.handovers) - waiting - refused
    _say(
        f"Cơ quan: {len(result.ended)} thay đổi, {len(result.begun)} mới. Phần việc để lại: "
        f"{chosen_ones} {'đã' if apply else 'sẽ'} xử lý, {refused} bị từ chối, "
        f"{waiting} chờ chọn nơi tiếp nhận; {len(result.opened)} phần việc mới",
        f"Agencies: {len(result.ended)} changed, {len(result.begun)} new. Work left behind: "
        f"{chosen_ones} {'settled' if apply else 'to be settled'}, {refused} refused, "
        f"{waiting} wait for a choice; {len(result.opened)} new assignments",
    )


@calendar.command("load")
def calendar_load(file: File) -> None:
    """Nạp lịch làm việc từ YAML (load a working calendar)."""
    from definitions import loader

    days = loader.calendar(file)
    with _engine() as engine:
        changed = engine.calendars.load(days)
    _say(f"{len(days)} ngày, {changed} thay đổi", f"{len(days)} days, {changed} changed")


@definition.command("publish")
def definition_publish(
    files: Annotated[list[Path] | None, typer.Argument(exists=True, dir_okay=False)] = None,
) -> None:
    """Công bố phiên bản mới; không nêu tệp thì dùng các quy trình kèm theo (publish)."""
    from definitions import loader

    drafts = [loader.workflow(path) for path in files or loader.WORKFLOWS]
    with _engine() as engine:
        for ref, new in engine.definitions.publish(drafts):
            _say(
                f"{ref}: {'đã công bố' if new else 'không đổi'}",
                f"{ref}: {'published' if new else 'unchanged'}",
            )


@definition.command("list")
def definition_list(as_json: AsJson = False) -> None:
    """Liệt kê các phiên bản đã công bố (published versions)."""
    with _engine() as engine:
        rows = engine.definitions.listed()
    if as_json:
        _print(rows)
    else:
        _table(
            ("quy trình", "phiên bản", "công bố", "sha256"),
            [(r["name"], r["version"], r["published_at"], r["sha256"][:12]) for r in rows],
        )


@definition.command("show")
def definition_show(name: str, version: Annotated[int | None, typer.Option()] = None) -> None:
    """In một quy trình (print a definition as JSON)."""
    from engine.definition import to_body

    with _engine() as engine:
        found = engine.definitions.show(name, version)
    _print({"version": found.ref.version, **to_body(found)})


@definition.command("diagram")
def definition_diagram(name: str, version: Annotated[int | None, typer.Option()] = None) -> None:
    """Vẽ quy trình bằng Mermaid (a state diagram in Mermaid)."""
    with _engine() as engine:
        found = engine.definitions.show(name, version)
    print("stateDiagram-v2")
    for state in found.states.values():
        print(f'  state "{state.label.vi}" as {state.name}')
    print(f"  [*] --> {found.initial}")
    for transition in found.transitions.values():
        for source in sorted(transition.sources):
            target = transition.target or source
            if not target.startswith("@"):
                print(f"  {source} --> {target}: {transition.label.vi}")


@definition.command("ladder")
def definition_ladder(
    name: Annotated[str, typer.Argument(metavar="NAME[@V]")],
    due: Due = None,
    reported: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="NGÀY", help="Ngày báo cáo (day of a report)"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Thang nhắc việc của một quy trình, tính từ thời hạn (the days of a ladder)."""
    with _engine() as engine:
        policy = engine.sweeps.ladder(name, due, reported)
    if as_json:
        _print({**asdict(policy), "definition": str(policy.definition)})
        return
    _say(f"Quy trình {policy.definition}.", f"Definition {policy.definition}.")
    _table(
        ("ngày", "quy tắc", "cấp", "báo cho"),
        [
            (r.day or _BEYOND, r.rule, r.level, ", ".join(r.tell))
            for r in (*policy.from_due, *policy.from_report)
        ],
    )


@definition.command("migrate")
def definition_migrate(
    name: str,
    old: Annotated[int, typer.Option("--from", help="Phiên bản cũ (old version)")],
    new: Annotated[int, typer.Option("--to", help="Phiên bản mới (new version)")],
    actor: ActorLogin,
    states: Annotated[
        list[str] | None, typer.Option("--state", help="cũ=mới (old=new), nhiều lần được")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Thực hiện (do it)")] = False,
    as_json: AsJson = False,
) -> None:
    """Chuyển phần việc đang mở sang phiên bản khác; xem trước nếu không có --apply."""
    moves = dict(entry.split("=", 1) for entry in states or [] if "=" in entry)
    with _engine() as engine:
        results = engine.definitions.migrate(
            name, (old, new), moves, engine.people.find(actor).id, apply=apply
        )
    refused = [r for r in results if r.refusal is not None]
    if as_json:
        _print(
            {
                "applied": apply,
                "results": [
                    {
                        "assignment_id": r.assignment_id,
                        "from": r.from_state,
                        "to": r.to_state,
                        "refusal": None if r.refusal is None else r.refusal.sentence.vi,
                    }
                    for r in results
                ],
            }
        )
    else:
        _table(
            ("mã", "từ", "đến", "từ chối"),
            [
                (r.assignment_id, r.from_state, r.to_state, r.refusal and r.refusal.sentence.vi)
                for r in results
            ],
        )
    _say(
        f"{len(results) - len(refused)} {'đã chuyển' if apply else 'sẽ chuyển'}, "
        f"{len(refused)} từ chối",
        f"{len(results) - len(refused)} {'moved' if apply else 'to be moved'}, "
        f"{len(refused)} refused",
    )


# --- plans -------------------------------------------------------------------------------------


@plan.command("import")
def plan_import(
    file: File,
    apply: Annotated[bool, typer.Option("--apply", help="Lưu (store it)")] = False,
    annex: Annotated[
        str | None, typer.Option(help="Phụ lục chứa nhiệm vụ (annex of the tasks): I, II, 2 …")
    ] = None,
    number: Annotated[str | None, typer.Option(help="Số kế hoạch (its number)")] = None,
    issued_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Ngày ban hành (issued on)")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="Cơ quan ban hành (who issued it)")] = None,
    title: Annotated[str | None, typer.Option(help="Tên kế hoạch (its title)")] = None,
    issuer_agency: Annotated[
        str | None, typer.Option(help="Mã cơ quan ban hành (code of the issuer)")
    ] = None,
    monitor: Annotated[
        str | None, typer.Option(help="Mã cơ quan theo dõi (code of the monitoring agency)")
    ] = None,
    oversight: Annotated[
        str | None, typer.Option(help="Mã cơ quan cấp trên (code of the agency above it)")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(exists=True, help="Quyết định của văn thư (clerk's decisions)")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Đọc kế hoạch .docx .xlsx .pdf .txt .yaml; chỉ xem trước nếu không --apply (read a plan)."""
    from definitions import loader

    printed, unread = _printed_plan(file, annex)
    given = {
        "number": number,
        "issued_on": None if issued_on is None else issued_on.date(),
        "issuer": issuer,
        "title": title,
        "issuer_agency": issuer_agency,
        "monitor_agency": monitor,
        "oversight_agency": oversight,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    printed = replace(printed, **values)
    decided = None if decisions is None else loader.decisions(decisions)
    if decided is not None and decided[0] != printed.number:
        problem = f"{decided[0]} ≠ {printed.number}"
        raise InvalidData({"decisions.plan": Sentence(problem, problem)})
    with _engine() as engine:
        if apply:
            imported = engine.imports.apply(printed, [] if decided is None else decided[1])
            recorded = imported.decided
            changed = len(imported.changes)
            _say(
                f"{printed.number}: {'đã lưu' if imported.new else f'{changed} dòng thay đổi'}, "
                f"{recorded} quyết định mới",
                f"{printed.number}: {'stored' if imported.new else f'{changed} rows changed'}, "
                f"{recorded} new decisions",
            )
        else:
            imported = engine.imports.preview(printed)
    if as_json:
        _print(_imported_json(printed, imported, unread))
    else:
        _print_imported(printed, imported, unread)


def _printed_plan(file: Path, annex: str | None) -> "tuple[PrintedPlan, Sequence[Place]]":
    """Return the plan a file prints, and where tables stand in it that were not read."""
    from definitions import loader

    if file.suffix.lower() in {".yaml", ".yml"}:
        return loader.plan(file), ()
    from documents import annex as annexes
    from engine.service.imports import PrintedPlan

    with _progress("dòng") as progress:
        found = annexes.read(file, annex=annex, progress=progress)
    head = found.head
    printed = PrintedPlan(
        number=head.number,
        issued_on=head.issued_on,
        issuer=head.issuer,
        title=head.title,
        signer=head.signer,
        issuer_agency=None,
        monitor_agency=None,
        oversight_agency=None,
        rows=found.rows,
        indicators=found.indicators,
        file=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    return printed, found.unread


def _imported_json(
    printed: "PrintedPlan", imported: "Imported", unread: "Sequence[Place]"
) -> dict[str, Any]:
    from engine.reasons import REPAIRS, by_repair
    from engine.service.export import indicator_json, row_json

    return {
        "plan": {
            "number": printed.number,
            "issued_on": printed.issued_on,
            "issuer": printed.issuer,
            "title": printed.title,
        },
        "rows": [row_json(row) for row in imported.rows],
        "indicators": [indicator_json(i) for i in printed.indicators],
        "groups": [
            {
                "repair": repair,
                "vi": REPAIRS[repair].vi,
                "en": REPAIRS[repair].en,
                "rows": [row.printed.number for row in rows],
            }
            for repair, rows in by_repair(imported.rows).items()
        ],
        "changes": [asdict(change) for change in imported.changes],
        "unread_tables": [asdict(place) for place in unread],
    }


def _print_imported(
    printed: "PrintedPlan", imported: "Imported", unread: "Sequence[Place]"
) -> None:
    from engine.reasons import REPAIRS, by_repair, sentences

    language = _State.language or Settings().language
    _table(
        ("TT", "nhiệm vụ", "chủ trì", "thời hạn", "đọc", "lý do"),
        [
            (
                row.printed.number_text,
                row.printed.title[:60],
                ", ".join(row.lead),
                row.printed.deadline_text,
                row.flag,
                "; ".join(s.into(language) for s in sentences(row.reasons)),
            )
            for row in imported.rows
        ],
    )
    flags = Counter(row.flag.value for row in imported.rows)
    print(
        f"{len(imported.rows)} dòng (rows): {flags['ok']} hợp lệ (ok) · "
        f"{flags['review']} cần xác nhận (review) · {flags['error']} lỗi (error)"
    )
    doubted = [i.number for i in printed.indicators if i.doubts]
    print(
        f"{len(printed.indicators)} dòng chỉ tiêu (indicators); mất ô, cần xem (a cell is lost): "
        f"{', '.join(doubted) or '-'}"
    )
    for repair, rows in by_repair(imported.rows).items():
        numbers = ", ".join(row.printed.number_text or "?" for row in rows)
        print(f"- {REPAIRS[repair].into(language)}: {len(rows)} ({numbers})")
    for change in imported.changes:
        print(f"{_CHANGES[change.what].into(language)} {change.number_text}")
        if change.kept:
            print(f"    {_KEPT.into(language)}")
        for name, (old, new) in change.fields.items():
            print(f"    {name}: {old} → {new}")
    for place in unread:
        where = f"{place.file}, {place.page or '-'}, {place.table}"
        _say(
            f"Bảng không đọc (tệp, trang, bảng): {where}: tiêu đề cột không phải của nhiệm vụ",
            f"A table was not read (file, page, table): {where}: no headings of tasks",
        )


_KEPT = Sentence(
    "đã giao hoặc đã có quyết định: phần việc và quyết định giữ nguyên",
    "assigned or decided on: assignments and decisions stay as they are",
)
_CHANGES = {
    "added": Sentence("thêm dòng", "row added"),
    "changed": Sentence("đổi dòng", "row changed"),
    "removed": Sentence("bỏ dòng", "row removed"),
    "indicators": Sentence("đổi chỉ tiêu", "indicators changed"),
}


@plan.command("decide")
def plan_decide(file: File) -> None:
    """Ghi quyết định của văn thư từ YAML (record the clerk's decisions)."""
    from definitions import loader

    number, decisions = loader.decisions(file)
    with _engine() as engine:
        new = engine.plans.record_decisions(number, decisions)
    _say(f"{new} quyết định mới", f"{new} new decisions")


@plan.command("assign")
def plan_assign(
    number: str, actor: ActorLogin, as_of: AsOf = None, as_json: AsJson = False
) -> None:
    """Giao nhiệm vụ của kế hoạch cho các cơ quan chủ trì (assign a plan's tasks)."""
    with _engine(as_of) as engine:
        done = engine.plans.assign(number, engine.people.find(actor).id)
    if as_json:
        _print(
            {
                "created": done.created,
                "refused": [
                    {"task": r.task, "reasons": r.reasons, "why": r.sentence.vi}
                    for r in done.refused
                ],
                "waiting": [
                    {"task": w.task, "party": w.party, "why": w.sentence.vi} for w in done.waiting
                ],
            }
        )
        return
    _say(
        f"Đã giao {sum(map(len, done.created.values()))} phần việc của "
        f"{len(done.created)} nhiệm vụ; {len(done.refused)} nhiệm vụ chờ văn thư",
        f"Assigned {sum(map(len, done.created.values()))} assignments of "
        f"{len(done.created)} tasks; {len(done.refused)} tasks wait for a clerk",
    )
    rows: list[Any] = [*done.refused, *done.waiting]
    for row in rows:
        language = _State.language or Settings().language
        print(f"{row.task}: {row.sentence.into(language)}")


@plan.command("suspend")
def plan_suspend(
    number: str, actor: ActorLogin, reason: Reason, as_of: AsOf = None, as_json: AsJson = False
) -> None:
    """Tạm dừng mọi phần việc đang mở của kế hoạch (suspend a plan)."""
    with _engine(as_of) as engine:
        done = engine.changes.suspend(number, reason, engine.people.find(actor).id)
    _print_changed(done, as_json=as_json)


@plan.command("resume")
def plan_resume(
    number: str, actor: ActorLogin, reason: Reason, as_of: AsOf = None, as_json: AsJson = False
) -> None:
    """Tiếp tục kế hoạch đang tạm dừng (resume a suspended plan)."""
    with _engine(as_of) as engine:
        done = engine.changes.resume(number, reason, engine.people.find(actor).id)
    _print_changed(done, as_json=as_json)


@plan.command("withdraw")
def plan_withdraw(
    number: str, actor: ActorLogin, reason: Reason, as_of: AsOf = None, as_json: AsJson = False
) -> None:
    """Thu hồi mọi phần việc đang mở của kế hoạch (withdraw a plan)."""
    with _engine(as_of) as engine:
        done = engine.changes.withdraw(number, reason, engine.people.find(actor).id)
    _print_changed(done, as_json=as_json)


@plan.command("supersede")
def plan_supersede(
    file: File,
    actor: ActorLogin,
    apply: Annotated[bool, typer.Option("--apply", help="Thực hiện (do it)")] = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Thay thế kế hoạch theo tệp chọn; xem trước nếu không có --apply (supersede a plan)."""
    from definitions import loader

    wanted = loader.supersession(file)
    with _engine(as_of) as engine:
        done = engine.changes.supersede(wanted, engine.people.find(actor).id, apply=apply)
    _print_changed(done, as_json=as_json)


def _print_changed(done: "PlanChanged", *, as_json: bool) -> None:
    counts = Counter(c.outcome for c in done.changed)
    if as_json:
        _print(
            {
                "plan": done.plan,
                "applied": done.applied,
                "counts": dict(counts),
                "assignments": [
                    {
                        **asdict(c.work),
                        "outcome": c.outcome,
                        "refusal": None if c.refusal is None else c.refusal.sentence._asdict(),
                        "became": list(c.became),
                    }
                    for c in done.changed
                ],
            }
        )
        return
    language = _State.language or Settings().language
    _table(
        ("mã", "TT", "cơ quan", "kỳ", "hạn", "trạng thái", "kết quả"),
        [
            (
                c.work.id,
                c.work.task,
                c.work.agency,
                c.work.period,
                c.work.due_on,
                c.work.state,
                c.refusal.sentence.into(language) if c.refusal else c.outcome,
            )
            for c in done.changed
        ],
    )
    waiting, refused = counts["waiting"], counts["refused"]
    settled = len(done.changed) - waiting - refused
    _say(
        f"{done.plan}: {settled} phần việc {'đã' if done.applied else 'sẽ'} xử lý, "
        f"{refused} bị từ chối, {waiting} chờ chọn",
        f"{done.plan}: {settled} assignments {'settled' if done.applied else 'to be settled'}, "
        f"{refused} refused, {waiting} wait for a choice",
    )


@plan.command("list")
def plan_list(as_json: AsJson = False) -> None:
    """Liệt kê kế hoạch (list plans)."""
    with _engine() as engine:
        found = engine.plans.listed()
    if as_json:
        _print(
            [
                {
                    "number": p.number,
                    "issued_on": p.issued_on,
                    "issuer": p.issuer,
                    "title": p.title,
                    "status": p.status,
                }
                for p in found
            ]
        )
    else:
        _table(
            ("số", "ngày", "cơ quan", "tên", "tình trạng"),
            [(p.number, p.issued_on, p.issuer, p.title, p.status) for p in found],
        )


@plan.command("show")
def plan_show(number: str, as_json: AsJson = False) -> None:
    """Xem một kế hoạch với các quyết định (show a plan with its decisions)."""
    from engine.service.export import row_json

    with _engine() as engine:
        found, rows, decisions, indicators = engine.plans.show(number)
    if as_json:
        _print(
            {
                "plan": {
                    "number": found.number,
                    "issued_on": found.issued_on,
                    "issuer": found.issuer,
                    "title": found.title,
                },
                "rows": [row_json(row) for row in rows],
                "decisions": [
                    {"task": d.task_number, "field": d.field, "value": d.value, "reason": d.reason}
                    for d in decisions
                ],
                "indicators": indicators,
            }
        )
        return
    _table(
        ("TT", "nhiệm vụ", "chủ trì", "thời hạn", "đọc"),
        [
            (
                r.printed.number,
                r.printed.title[:70],
                ", ".join(r.lead),
                r.printed.deadline_text,
                r.flag,
            )
            for r in rows
        ],
    )


# --- tasks and assignments -----------------------------------------------------------------------

_BOXES = ("done_in_time", "done_late", "open_in_time", "open_overdue")


@task.command("list")
def task_list(
    plan_number: Annotated[str | None, typer.Option("--plan")] = None,
    agency: Annotated[str | None, typer.Option()] = None,
    section: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help=" | ".join((*_BOXES, "unassigned")))] = None,
    due_before: Annotated[datetime | None, typer.Option(parser=_moment, metavar="NGÀY")] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Liệt kê nhiệm vụ với số phần việc và bốn ô thống kê (tasks and their boxes)."""
    from engine.clock import local_day

    with _engine(as_of) as engine:
        rows = engine.lists.tasks(
            plan=plan_number,
            agency=agency,
            section=section,
            status=status,
            due_before=None if due_before is None else local_day(due_before),
        )
    if as_json:
        _print([dict(row) for row in rows])
        return
    _table(
        ("TT", "nhiệm vụ", "thời hạn", "đúng hạn", "xong muộn", "trong hạn", "quá hạn"),
        [
            (r["number"], r["title"][:60], r["deadline_text"], *(r[box] for box in _BOXES))
            for r in rows
        ],
    )


@task.command("show")
def task_show(
    number: int,
    plan_number: Annotated[str | None, typer.Option("--plan")] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Xem một nhiệm vụ với các phần việc (a task with its assignments)."""
    from engine.errors import NotFound

    with _engine(as_of) as engine:
        found = engine.lists.tasks(plan=plan_number, number=number)
        if not found:
            raise NotFound(Sentence("nhiệm vụ", "task"), number)
        rows: list[Any] = []
        after = None
        while page := engine.lists.assignments(after, 200, plan=plan_number, task=number):
            rows += page
            after = (page[-1]["due_on"] or date.max, page[-1]["id"])
    if as_json:
        _print([{**t, "assignments_list": [dict(r) for r in rows]} for t in found])
        return
    for one in found:
        print(f"{one['number']}. {one['title']}\n{one['lead_text']} · {one['deadline_text']}")
    _table(
        ("mã", "cơ quan", "kỳ", "trạng thái", "hạn", "quá hạn (ngày)"),
        [
            (r["id"], r["agency_name"], r["period"], r["state"], r["due_on"], r["days_overdue"])
            for r in rows
        ],
    )


@assignment.command("show")
def assignment_show(assignment_id: int, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Xem một phần việc và lịch sử (an assignment and its timeline)."""
    with _engine(as_of) as engine:
        found, timeline = engine.lists.assignment(assignment_id)
        requests = engine.lists.assignments(parent=assignment_id)
        definition_ = engine.definitions.show(found.definition.name, found.definition.version)
    if as_json:
        _print(
            {
                "id": found.id,
                "agency": found.agency,
                "reviewer": found.reviewer,
                "definition": str(found.definition),
                "state": found.state,
                "version": found.version,
                "round": found.round,
                "period": found.period,
                "due_on": found.due_on,
                "original_due_on": found.original_due_on,
                "reported_on": found.reported_on,
                "completed_on": found.completed_on,
                "paused_until": found.paused_until,
                "facts": found.facts,
                "requests": [
                    {"id": r["id"], "definition": r["definition"], "state": r["state"]}
                    for r in requests
                ],
                "timeline": [dict(row) for row in timeline],
            }
        )
        return
    label = definition_.states[found.state].label.vi
    print(f"{found.id} · {found.agency} · {label} · hạn {found.due_on} · phiên bản {found.version}")
    _table(
        ("#", "lúc", "thao tác", "trạng thái", "ai", "thay"),
        [
            (e["seq"], e["at"], e["transition"], e["to_state"], e["actor"], e["acting_for"])
            for e in timeline
        ],
    )
    for request in requests:
        print(f"{request['definition']} {request['id']}: {request['state']}")


@assignment.command("reminders")
def assignment_reminders(
    assignment_id: int,
    definition_name: Annotated[
        str | None,
        typer.Option("--definition", metavar="NAME[@V]", help="thử quy trình khác (another)"),
    ] = None,
    due: Due = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Phần việc này sẽ được nhắc vào ngày nào, ai nhận (when it will be reminded, and whom)."""
    with _engine(as_of) as engine:
        coming = engine.sweeps.preview(assignment_id, definition_name, due)
    if as_json:
        _print([asdict(r) for r in coming])
        return
    _table(
        ("ngày", "quy tắc", "cấp", "báo cho"),
        [
            (
                r.day or _BEYOND,
                r.rule,
                r.level,
                ", ".join(f"{who.role} {who.agency_name}" for who in r.tell),
            )
            for r in coming
        ],
    )


@assignment.command("do")
def assignment_do(
    assignment_id: int,
    transition: str,
    actor: ActorLogin,
    data: Annotated[Path | None, typer.Option(exists=True, help="JSON")] = None,
    version: Annotated[int | None, typer.Option(help="Phiên bản đã xem (version seen)")] = None,
    acting_for: Annotated[str | None, typer.Option(metavar="LOGIN")] = None,
    key: Annotated[str | None, typer.Option(help="Khóa chống lặp (idempotency key)")] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Thực hiện một thao tác, như trên trang web (the same transition the web makes)."""
    entered = {} if data is None else _json_object(data)
    with _engine(as_of) as engine:
        fired = engine.fire(
            assignment_id,
            transition,
            engine.people.find(actor).id,
            data=entered,
            seen=version,
            key=key,
            acting_for=None if acting_for is None else engine.people.find(acting_for).id,
        )
    if as_json:
        _print(
            {
                "assignment_id": fired.assignment_id,
                "version": fired.version,
                "state": fired.state,
                "transition": fired.transition,
                "at": fired.at.isoformat(),
            }
        )
    else:
        _say(
            f"{fired.assignment_id}: {fired.state}, phiên bản {fired.version}",
            f"{fired.assignment_id}: {fired.state}, version {fired.version}",
        )


def _json_object(path: Path) -> dict[str, Any]:
    try:
        entered = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise InvalidData(
            {path.name: Sentence(f"không phải JSON: {problem}", f"is no JSON: {problem}")}
        ) from problem
    if not isinstance(entered, dict):
        raise InvalidData(
            {path.name: Sentence("phải là một đối tượng JSON", "has to be a JSON object")}
        )
    return entered


# --- what time does ------------------------------------------------------------------------------


@app.command()
def sweep(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Nhắc việc và báo cáo cấp trên hôm nay (remind and escalate today)."""
    from engine.service.export import sweep_json

    with _engine(as_of) as engine, _progress("đã xem") as show:
        result = engine.sweeps.run(show)
    _print_sweep(sweep_json(result), as_json=as_json)


@app.command()
def quarter(
    name: str,
    table: Annotated[
        bool, typer.Option("--table", help="in bảng đã ghi, không báo (what was recorded)")
    ] = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Báo cáo lãnh đạo phần việc quá hạn của quý, ví dụ 2025Q3 (what a quarter left overdue)."""
    from engine.service.export import sweep_json

    with _engine(as_of) as engine:
        if table:
            _print_quarter(engine.sweeps.quarter_rows(name), as_json=as_json)
            return
        result = engine.sweeps.quarter(name)
    _print_sweep({"quarter": name, **sweep_json(result)}, as_json=as_json)


def _print_quarter(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        _print([{**row, "state_label": row["state_label"].vi} for row in rows])
        return
    _table(
        ("kế hoạch", "nhiệm vụ", "chủ trì", "thời hạn", "quá hạn", "trạng thái", "cấp", "báo cáo"),
        [
            (
                row["plan"],
                row["task"],
                row["lead"],
                row["due_on"],
                row["days_now"],
                row["state_label"].vi,
                row["level"],
                row["last_report_on"],
            )
            for row in rows
        ],
    )


def _print_sweep(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print(result)
        return
    _table(
        ("quy tắc", "cấp", "phần việc"),
        [
            (rule, level, len(ids))
            for rule, levels in result["rules"].items()
            for level, ids in levels.items()
        ],
    )
    _say(
        f"{result['day']}: xem {result['examined']}, mới {result['new']}",
        f"{result['day']}: examined {result['examined']}, new {result['new']}",
    )


@app.command("open-periods")
def open_periods(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Mở kỳ báo cáo của nhiệm vụ thường xuyên, hằng năm (open reporting periods)."""
    with _engine(as_of) as engine:
        result = engine.periods.open()
    if as_json:
        _print({"day": result.day, "opened": result.opened})
    else:
        _table(("kỳ", "phần việc"), [(name, len(ids)) for name, ids in result.opened.items()])


@app.command()
def deliver(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Lập bản tin trong ngày và gửi (plan the digests of the day and send them)."""
    from flows.attachments import attachments
    from notifications.sending import Sender
    from notifications.sending import deliver as deliver_owed

    settings = Settings()
    with _engine(as_of) as engine:
        done = deliver_owed(engine, settings, Sender(engine, settings, attachments(engine)))
    if as_json:
        _print(done)
    else:
        _table(tuple(done), [tuple(done.values())])


@app.command()
def receive(as_json: AsJson = False) -> None:
    """Nhận thư bị trả lại và tin nhắn gửi cho bot (take in bounces and texts to the bot)."""
    from notifications import bot, bounces

    settings = Settings()
    with _engine() as engine:
        done: dict[str, Any] = {"bounces": bounces.take_in(engine, settings)}
        if bot.is_polled(settings):
            done["texts"] = bot.listen(engine, bot.client_of(settings), 1)
    if as_json:
        _print(done)
    else:
        _table(tuple(done), [tuple(done.values())])


# --- history -------------------------------------------------------------------------------------


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Kiểm tra toàn bộ lịch sử: mọi sự kiện, mọi phần việc (check all of history)."""
    with _engine() as engine, _progress("sự kiện") as show:
        result = engine.history.verify(show)
    fault = result.fault
    if as_json:
        _print(
            {
                "events": result.events,
                "assignments": result.assignments,
                "roots": result.roots,
                "fault": None
                if fault is None
                else {
                    "what": fault.what,
                    "assignment_id": fault.assignment_id,
                    "seq": fault.seq,
                },
            }
        )
    if fault is not None:
        raise EngineError(
            Sentence(
                f"Lịch sử KHÔNG nguyên vẹn: {fault.what}. Giữ nguyên máy chủ và báo kiểm toán.",
                f"History is NOT whole: {fault.what}. Leave the server as it is, tell the auditor.",
            )
        )
    _say(
        f"Nguyên vẹn: {result.events} sự kiện, {result.assignments} phần việc, "
        f"{result.roots} mốc ngày",
        f"Whole: {result.events} events, {result.assignments} assignments, {result.roots} roots",
    )


@history.command("export")
def history_export() -> None:
    """In mọi sự kiện, mỗi dòng một JSON (every event and root, a JSON line each)."""
    with _engine() as engine:
        for line in engine.history.export():
            print(json.dumps(line, ensure_ascii=False))


@history.command("root")
def history_root(as_of: AsOf = None) -> None:
    """Chốt mốc của các ngày đã qua (store the root of every finished day)."""
    with _engine(as_of) as engine:
        made = engine.history.make_roots()
    _say(f"{made} mốc mới", f"{made} new roots")


# --- people --------------------------------------------------------------------------------------


@user.command("add")
def user_add(
    login: str,
    full_name: str,
    role: Annotated[
        list[str] | None, typer.Option(help="vai trò@cơ quan, ví dụ officer@so-noi-vu")
    ] = None,
    email: Annotated[str | None, typer.Option()] = None,
    zalo: Annotated[str | None, typer.Option(help="chat id")] = None,
    password_stdin: Annotated[
        bool, typer.Option(help="Đọc mật khẩu từ stdin (read a password from stdin)")
    ] = False,
) -> None:
    """Thêm hoặc sửa một người (add or change a person)."""
    from engine.clock import SystemClock, local_day
    from engine.service.people import NewPerson

    today = local_day(SystemClock().now())
    grants: list[tuple[str, str, date, date | None]] = []
    for entry in role or []:
        kind, _, agency = entry.partition("@")
        grants.append((kind, agency, today, None))
    contacts = {c: a for c, a in (("email", email), ("zalo_bot", zalo)) if a}
    password = sys.stdin.readline().rstrip("\n") if password_stdin else None
    with _engine() as engine:
        engine.people.save([NewPerson(login, full_name, grants, contacts, password)])
    _say(f"Đã lưu {login}", f"Saved {login}")


@user.command("list")
def user_list(as_json: AsJson = False) -> None:
    """Liệt kê người dùng và vai trò hôm nay (people and their roles today)."""
    with _engine() as engine:
        rows = engine.people.listed()
    if as_json:
        _print([dict(row) for row in rows])
        return
    _table(
        ("đăng nhập", "họ tên", "vai trò"),
        [
            (
                r["login"],
                r["full_name"],
                ", ".join(f"{g['role']}@{g['agency']}" for g in r["grants"]),
            )
            for r in rows
        ],
    )


@user.command("token")
def user_token(
    login: str,
    label: Annotated[str, typer.Option()] = "cli",
    days: Annotated[int | None, typer.Option(min=1, max=3650)] = None,
) -> None:
    """Cấp mã truy cập API; chỉ hiện một lần (issue an API token, shown once)."""
    lasts = None if days is None else timedelta(days=days)
    with _engine() as engine:
        print(engine.people.issue_token(login, label, lasts))


# --- contacts and sealing ------------------------------------------------------------------------


@contact.command("list")
def contact_list(
    login: str,
    whole: Annotated[bool, typer.Option(help="Hiện đầy đủ (whole addresses)")] = False,
    as_json: AsJson = False,
) -> None:
    """Địa chỉ của một người, mục đích và căn cứ lưu (addresses, purpose and basis)."""
    with _engine() as engine:
        rows = engine.contacts.listed(engine.people.find(login).id, whole=whole)
    if as_json:
        _print([asdict(row) for row in rows])
        return
    _table(
        ("kênh", "địa chỉ", "trạng thái", "mục đích", "căn cứ", "ngày đồng ý", "sửa lúc"),
        [
            (r.channel, r.address, r.state, r.purpose, r.basis, r.consented_on, r.changed_at)
            for r in rows
        ],
    )


@contact.command("set")
def contact_set(
    login: str,
    channel: str,
    address: str,
    consented: Annotated[
        str | None, typer.Option(help="ngày đồng ý (day of consent), YYYY-MM-DD")
    ] = None,
) -> None:
    """Ghi hoặc sửa một địa chỉ (enter or correct an address)."""
    from notifications.channels.stock import checked

    if channel == "apprise":
        checked(address.strip(), Settings().apprise_services)
    day = None if consented is None else local_day(_moment(consented))
    with _engine() as engine:
        engine.contacts.set(engine.people.find(login).id, channel, address, day)
    _say(f"Đã lưu {channel} của {login}", f"Saved {channel} of {login}")


@contact.command("link")
def contact_link(login: str) -> None:
    """Cấp mã 6 số để người đó nhắn cho bot Zalo (a code that links a Zalo chat)."""
    with _engine() as engine:
        code, until = engine.contacts.link_code(engine.people.find(login).id)
    print(code)
    _say(
        f"Nhắn mã này cho bot trước {until.astimezone(ZONE):%H:%M}.",
        f"Send it to the bot before {until.astimezone(ZONE):%H:%M}.",
    )


@contact.command("withdraw")
def contact_withdraw(login: str, channel: Annotated[str | None, typer.Argument()] = None) -> None:
    """Xóa địa chỉ của một người, một kênh hoặc tất cả (take back one or all addresses)."""
    with _engine() as engine:
        named = None if channel is None else [channel]
        gone = engine.contacts.withdraw(engine.people.find(login).id, named)
    _say(f"Đã xóa {gone} địa chỉ của {login}", f"Erased {gone} addresses of {login}")


@contact.command("erase")
def contact_erase(login: str) -> None:
    """Xóa địa chỉ, tùy chọn và nội dung các tin đã gửi (also the texts that were sent)."""
    with _engine() as engine:
        texts = engine.contacts.erase(engine.people.find(login).id)
    _say(
        f"Đã xóa dữ liệu liên hệ của {login} và nội dung {texts} tin",
        f"Erased the contact data of {login} and the texts of {texts} messages",
    )


@keys.command("new")
def keys_new(key_id: Annotated[str, typer.Argument(help="tên khóa (its id)")] = "k1") -> None:
    """In một khóa mới cho DONDOC_SEAL_KEYS (print a new key)."""
    from engine.sealing import new_key

    print(new_key(key_id))


@keys.command("reseal")
def keys_reseal() -> None:
    """Niêm phong lại mọi địa chỉ bằng khóa đứng đầu (seal everything with the first key)."""
    with _engine() as engine:
        done = engine.contacts.reseal() + engine.credentials.reseal()
        current = engine.keyring.current
    _say(f"Đã niêm phong lại {done} mục bằng khóa {current}", f"Sealed {done} anew by {current}")


# --- deliveries ----------------------------------------------------------------------------------


@deliveries.command("list")
def deliveries_list(
    state: Annotated[list[str] | None, typer.Option(help="dead, unknown, parked, …")] = None,
    channel: Annotated[str | None, typer.Option()] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Các lượt gửi, mới nhất trước; --state dead: thư chết (newest first; dead letters)."""
    from engine.store.tables.messages import DELIVERY_STATES

    wrong = [s for s in state or () if s not in DELIVERY_STATES]
    if wrong:
        raise typer.BadParameter(", ".join(DELIVERY_STATES), param_hint="--state")
    if channel is not None:
        require_channel(channel)
    with _engine() as engine:
        rows = engine.deliveries.listed(None, limit, state or (), channel)
    if as_json:
        _print([dict(row) for row in rows])
        return
    _table(
        ("mã", "ngày", "kênh", "trạng thái", "lần", "người nhận", "mã lỗi", "tiêu đề"),
        [
            (
                r["id"],
                r["day"],
                r["channel"],
                r["state"],
                r["attempts"],
                r["login"],
                r["last_code"],
                r["subject"][:60],
            )
            for r in rows
        ],
    )


@deliveries.command("show")
def deliveries_show(delivery_id: int, as_json: AsJson = False) -> None:
    """Vì sao gửi, gửi gì, đã thử gì, được trả lời gì (everything known of a delivery)."""
    from engine.service.letters import EXPLANATIONS

    with _engine() as engine:
        found = engine.deliveries.show(delivery_id)
    if as_json:
        _print(found)
        return
    language = _State.language or Settings().language

    def explained(code: str | None) -> str:
        known = EXPLANATIONS.get(code or "")
        return code or "" if known is None else f"{code}: {known.into(language)}"

    print(
        f"{found['id']} {found['channel']} {found['state']} → {found['login']} "
        f"({found['sent_to'] or '–'}), {found['day']} {found['slot']}, "
        f"lần {found['attempts']}, {explained(found['last_code'])} {found['last_text'] or ''}"
    )
    _table(
        ("việc", "lý do", "cấp", "vai trò", "cơ quan", "không nêu vì"),
        [
            (
                i["assignment_id"],
                i["reason"],
                i["level"],
                i["role"],
                i["agency_code"],
                explained(i["left_out"]),
            )
            for i in found["items"]
        ],
    )
    _table(
        ("lần", "bắt đầu", "kết thúc", "kết quả", "mã", "trả lời"),
        [
            (
                t["number"],
                t["started_at"],
                t["finished_at"],
                t["outcome"],
                explained(t["code"]),
                t["text"],
            )
            for t in found["tries"]
        ],
    )
    for receipt in found["receipts"]:
        print(f"biên nhận: {receipt['source']} {receipt['kind']} {receipt['received_at']}")
    for other in found["beside"]:
        print(f"cùng tin: {other['id']} {other['channel']} {other['state']}")
    print(found["subject"] or "", found["body_text"] or "", sep="\n")


@deliveries.command("retry")
def deliveries_retry(delivery_id: int) -> None:
    """Gửi lại một lượt đã bỏ cuộc (queue it once more)."""
    with _engine() as engine:
        engine.deliveries.retry(delivery_id)
    _say(f"Sẽ gửi lại {delivery_id}", f"Queued {delivery_id} again")


@deliveries.command("drop")
def deliveries_drop(delivery_id: int) -> None:
    """Bỏ một lượt gửi (it is no longer owed)."""
    with _engine() as engine:
        engine.deliveries.drop(delivery_id)
    _say(f"Đã bỏ {delivery_id}", f"Dropped {delivery_id}")


@gateways.command("list")
def gateways_list(as_json: AsJson = False) -> None:
    """Trạng thái từng cổng gửi (the state of every way out)."""
    from notifications.ways import ways

    with _engine() as engine:
        rows = engine.gateways.listed()
    used = ways(Settings()).channels
    if as_json:
        _print([{**asdict(row), "set_up": row.channel in used} for row in rows])
        return
    _table(
        ("cổng", "đã cài", "trạng thái", "lý do", "từ lúc", "thử lại lúc", "hạn mức còn"),
        [
            (
                r.channel,
                "có" if r.channel in used else "",
                r.state,
                r.reason,
                r.since,
                r.probe_at,
                r.quota_left,
            )
            for r in rows
        ],
    )


@gateways.command("test")
def gateways_test(
    channel: str,
    to: Annotated[str, typer.Option(help="gửi cho ai (login)")],
    as_json: AsJson = False,
) -> None:
    """Gửi thử một tin cho chính mình; được nhận thì mở lại cổng (a message to oneself)."""
    from notifications.sending import Sender, try_out

    settings = Settings()
    require_channel(channel)
    with _engine() as engine, closing(Sender(engine, settings)) as sender:
        outcome = try_out(engine, settings, sender, channel, engine.people.find(to))
    if as_json:
        _print(asdict(outcome))
    else:
        print(f"{channel}: {outcome.state} {outcome.code} {outcome.text}".rstrip())
    if outcome.state != "accepted":
        raise typer.Exit(1)


@gateways.command("resume")
def gateways_resume(channel: str) -> None:
    """Dùng lại một cổng đang dừng (use a parked way out again)."""
    from notifications.ways import ways

    with _engine() as engine:
        waiting = engine.gateways.resume(ways(Settings()), channel)
    _say(f"{channel}: {waiting} tin chờ sẽ được gửi", f"{channel}: {waiting} deliveries queued")


# --- Zalo Bot ------------------------------------------------------------------------------------


@zalo_bot.command("status")
def zalo_bot_status() -> None:
    """Hỏi Zalo bot là ai (ask who the bot is)."""
    from notifications import bot

    settings = Settings()
    who = bot.client_of(settings).get_me()
    polled = bot.is_polled(settings)
    print(f"{who.get('account_name') or who.get('id')}: {'getUpdates' if polled else 'webhook'}")


@zalo_bot.command("webhook")
def zalo_bot_webhook(
    off: Annotated[bool, typer.Option("--off", help="thôi webhook, hỏi định kỳ (poll)")] = False,
) -> None:
    """Khai với Zalo địa chỉ nhận tin của bot, hoặc thôi (tell Zalo where to call)."""
    from api.application import PREFIX
    from notifications import bot

    settings = Settings()
    client = bot.client_of(settings)
    if off:
        client.delete_webhook()
        _say("Đã thôi webhook.", "The webhook was taken back.")
        return
    if settings.zalo_bot_webhook_secret is None:
        problem = Sentence("chưa đặt; cần 8 đến 256 ký tự", "is not set; 8 to 256 characters")
        raise InvalidData({"DONDOC_ZALO_BOT_WEBHOOK_SECRET": problem})
    url = f"{settings.base_url.rstrip('/')}{PREFIX}/webhooks/zalo-bot"
    client.set_webhook(url, settings.zalo_bot_webhook_secret.get_secret_value())
    _say(f"Zalo sẽ gọi {url}", f"Zalo will call {url}")


# --- Official Account ----------------------------------------------------------------------------


@oa.command("connect")
def oa_connect(
    oa_id: str,
    app_id: Annotated[str, typer.Option(help="mã ứng dụng (app id)")],
    file: Annotated[
        Path | None, typer.Option(exists=True, help="JSON của Zalo; bỏ trống: đọc từ stdin")
    ] = None,
) -> None:
    """Lưu cặp token Zalo cấp, dạng JSON (keep the tokens Zalo gave, as its JSON answer)."""
    from notifications.oa import resume_after_consent, token_pair
    from notifications.ways import ways

    pair = token_pair(sys.stdin.read() if file is None else file.read_text(encoding="utf-8"))
    with _engine() as engine:
        engine.credentials.connect(oa_id, app_id, *pair)
        waiting = resume_after_consent(engine, ways(Settings()))
    _say(
        f"Đã kết nối OA {oa_id}; {waiting} tin chờ sẽ được gửi. Kiểm tra: dondoc oa rotate",
        f"Connected {oa_id}; {waiting} deliveries queued. Check it by: dondoc oa rotate",
    )


@oa.command("rotate")
def oa_rotate() -> None:
    """Đổi token ngay, kể cả khi hệ thống đã thôi thử (renew the tokens now)."""
    from engine.service.credentials import ConsentNeeded
    from notifications.oa import OfficialAccount, park_for_consent, resume_after_consent
    from notifications.ways import ways

    settings = Settings()
    with _engine() as engine:
        try:
            OfficialAccount(engine, settings).rotate()
        except ConsentNeeded as lost:
            park_for_consent(engine, ways(settings), lost.reason)
            raise
        waiting = resume_after_consent(engine, ways(settings))
    _say(f"Đã đổi token; {waiting} tin chờ sẽ được gửi", f"Renewed; {waiting} deliveries queued")


@oa.command("status")
def oa_status(
    live: Annotated[bool, typer.Option("--live", help="Hỏi Zalo loại OA, hạn mức (ask)")] = False,
    as_json: AsJson = False,
) -> None:
    """Token còn dùng được đến khi nào, đổi cách đây mấy ngày (how the tokens stand)."""
    from notifications.oa import OfficialAccount

    with _engine() as engine:
        rows = [asdict(status) for status in engine.credentials.listed()]
        if live:
            account = OfficialAccount(engine, Settings())
            asked = {"profile": asdict(account.profile()), "quota": asdict(account.quota())}
            rows = [row | (asked if row["oa_id"] == account.oa_id else {}) for row in rows]
    if as_json:
        _print(rows)
        return
    _table(
        ("OA", "trạng thái", "đổi cách đây", "token đến", "chưa rõ từ", "lỗi", "loại", "còn gửi"),
        [
            (
                r["oa_id"],
                r["state"],
                f"{r['days_since_rotation']} ngày",
                r["access_expires_at"],
                r["doubtful_since"],
                r["last_error"],
                r.get("profile", {}).get("oa_type"),
                r.get("quota", {}).get("remaining"),
            )
            for r in rows
        ],
    )


# --- measurements --------------------------------------------------------------------------------


@measurement.command("transitions")
def bench_transitions(seconds: Annotated[float, typer.Option(min=1)] = 5.0) -> None:
    """Thao tác mỗi giây so với pgbench (transitions per second against pgbench)."""
    from bench import transitions

    _print(transitions.run(seconds))


@measurement.command("sweep")
def bench_sweep(
    assignments: Annotated[int, typer.Option(min=10_000)] = 1_000_000,
) -> None:
    """Quét so với INSERT … SELECT trần (the sweep against a bare INSERT … SELECT)."""
    from bench import sweeps

    _print(sweeps.run(assignments))


@measurement.command("lists")
def bench_lists(
    assignments: Annotated[int, typer.Option(min=10_000)] = 1_000_000,
) -> None:
    """Thời gian của các danh sách (how long the lists take)."""
    from bench import lists

    _print(lists.run(assignments))


@measurement.command("imports")
def bench_imports(rows: Annotated[int, typer.Option(min=1)] = 10_000) -> None:
    """Thời gian và bộ nhớ đọc tệp văn phòng (reading office files)."""
    from bench import imports

    _print(imports.run(rows))


@measurement.command("deliveries")
def bench_deliveries(recipients: Annotated[int, typer.Option(min=1)] = 20_000) -> None:
    """Cuối quý: quét, lập, gửi thư; lập tin cho nhiều người (a quarter end, many recipients)."""
    from bench import deliveries as measured

    _print(measured.run(recipients))


if __name__ == "__main__":
    main()
