"""The files that go with a mail: put together here, above what renders and what writes tables."""

from collections.abc import Callable
from datetime import date

from documents.workbook import Column, workbook
from engine.deadlines import quarter_end
from engine.service.engine import Engine
from engine.service.letters import Letter
from notifications.channels.mail import Attachment

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_ROMAN = {"1": "I", "2": "II", "3": "III", "4": "IV"}
_COLUMNS = (
    Column("Kế hoạch", 14),
    Column("Nhiệm vụ", 9, "number"),
    Column("Nội dung", 50),
    Column("Cơ quan chủ trì", 26),
    Column("Kỳ", 9),
    Column("Thời hạn ban đầu", 12, "date"),
    Column("Thời hạn", 12, "date"),
    Column("Quá hạn khi hết quý (ngày)", 12, "number"),
    Column("Quá hạn đến nay (ngày)", 12, "number"),
    Column("Trạng thái", 20),
    Column("Cấp đã báo", 8, "number"),
)


def attachments(engine: Engine) -> Callable[[Letter], tuple[Attachment, ...]]:
    """Return what makes the files of a letter: the table of a quarter for its recipient."""

    def made(letter: Letter) -> tuple[Attachment, ...]:
        if letter.quarter is None:
            return ()
        return (quarter_table(engine, letter.quarter, letter.person_id, letter.day),)

    return made


def quarter_table(engine: Engine, quarter: str, person_id: int | None, day: date) -> Attachment:
    """Return the consolidated table of a quarter: what it left overdue.

    Args:
        engine: On the day of the table.
        quarter: Like 2025Q3.
        person_id: Only what this person was told; None: everything.
        day: Printed as the day of the figures.
    """
    year, _, number = quarter.partition("Q")
    name = f"quý {_ROMAN[number]}/{year}"
    rows = [
        (
            row["plan"],
            row["task"],
            row["title"],
            row["lead"],
            row["period"],
            row["original_due_on"],
            row["due_on"],
            row["days_at_end"],
            row["days_now"],
            row["state_label"].vi,
            row["level"],
        )
        for row in engine.sweeps.quarter_rows(quarter, person_id)
    ]
    end = quarter_end(quarter, day)
    content = workbook(
        f"TỔNG HỢP NHIỆM VỤ QUÁ HẠN {name.upper()}",
        _COLUMNS,
        rows,
        f"Nhiệm vụ quá thời hạn khi kết thúc quý ({end:%d/%m/%Y}); số liệu ngày {day:%d/%m/%Y}.",
    )
    return Attachment(f"Tổng hợp quá hạn {name.replace('/', '-')}.xlsx", content, XLSX)
