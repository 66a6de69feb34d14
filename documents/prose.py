"""Numbered items with labels -> records: "Cơ quan chủ trì: …; Thời gian hoàn thành: …"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from documents.headings import Column
from documents.model import Line
from documents.records import NO_SECTION, Record, Section, record_mark, section_mark
from engine.wording import Place

_LABELS = {
    Column.PARTIES: r"(?:cơ quan|đơn vị)?\s*chủ trì,?\s*(?:và)?\s*phối hợp(?:\s+thực hiện)?",
    Column.LEAD: (
        r"(?:cơ quan|đơn vị|cấp)?\s*(?:chủ trì|thực hiện|đầu mối|chịu trách nhiệm)"
        r"(?:\s+(?:thực hiện|triển khai|tham mưu|soạn thảo))?"
    ),
    Column.COORDINATING: (
        r"(?:cơ quan|đơn vị|các (?:cơ quan|đơn vị))?\s*phối hợp(?:\s+thực hiện)?"
    ),
    Column.DEADLINE: (
        r"(?:thời gian|thời hạn|tiến độ|hạn)\s*(?:hoàn thành|thực hiện|trình|triển khai|xong)?"
        r"|hoàn thành(?: trước| trong)?"
    ),
    Column.OTHER: (
        r"(?:sản phẩm|kết quả|kinh phí|nguồn kinh phí|cấp trình|cấp ban hành|hình thức văn bản"
        r"|lãnh đạo (?:phụ trách|chỉ đạo)|ghi chú|nguồn lực)[^:;.\n]{0,25}"
    ),
}
_LABEL = re.compile(
    r"(?:(?<=^)|(?<=[\n.;,(–-])|(?<=[.;,(–-]\s)|(?<=[.;]\s[-+*]\s)|(?<=\n[-+*•]\s))[ \t]*"
    r"(?P<label>"
    + "|".join(f"(?P<{kind}>{words})" for kind, words in _LABELS.items())
    + r")\s*:\s*",
    re.IGNORECASE,
)
_TRAILING = " \t\n;,)(–-+*•"


@dataclass
class _Item:
    """A numbered item and the lines below it, up to the next."""

    number_text: str
    levels: tuple[int, ...]
    section: Section
    text: str
    line: Line


def read(lines: Sequence[Line], file: str) -> list[Record]:
    """Return the items that say who does them or until when, and those counted on after one.

    What stands in the row of tasks and says nothing of who is not dropped: a person has to look.
    """
    items = _items(lines)
    depths: dict[Section, set[int]] = {}
    records = []
    for item in items:
        known = depths.setdefault(item.section, set())
        if _duties(item.text):
            known.add(len(item.levels))
        if len(item.levels) in known:
            records.append(_record(item, file))
    return records


def _items(lines: Sequence[Line]) -> list[_Item]:
    items: list[_Item] = []
    section = NO_SECTION
    for line in lines:
        mark = record_mark(line.text)
        opened = section_mark(line.text)
        if mark is not None and mark.levels and mark.title is not None:
            number = line.text.strip()[: -len(mark.title)].strip()
            items.append(_Item(number, mark.levels, section, mark.title, line))
        elif opened is not None and opened.title is not None and opened.dotted:
            section = Section(opened.text, opened.title)
            items.append(_Item("", (), section, "", line))
        elif items and items[-1].number_text and line.text.strip():
            items[-1].text += "\n" + line.text
    return [item for item in items if item.number_text]


def _duties(text: str) -> list[re.Match[str]]:
    """Return the labels of an item that make it a task."""
    found = list(_LABEL.finditer(text))
    return found if any(_kind(m) is not Column.OTHER for m in found) else []


def _kind(match: re.Match[str]) -> Column:
    return next(kind for kind in _LABELS if match[kind.value] is not None)


def _record(item: _Item, file: str) -> Record:
    labels = _duties(item.text) or list(_LABEL.finditer(item.text))
    end = labels[0].start() if labels else len(item.text)
    record = Record(
        number_text=item.number_text,
        section=item.section,
        cells={Column.TITLE: item.text[:end].strip(_TRAILING) or item.text.strip()},
        place=Place(file, item.line.page, None, item.line.number),
    )
    for n, label in enumerate(labels):
        stop = labels[n + 1].start() if n + 1 < len(labels) else len(item.text)
        value = item.text[label.end() : stop].strip(_TRAILING)
        kind = _kind(label)
        if not value:
            continue
        if kind is Column.OTHER:
            record.others.append((label["label"].strip(), value))
        elif record.cells.get(kind):
            record.doubts.append("label_repeated")
            record.others.append((label["label"].strip(), value))
        else:
            record.cells[kind] = value
    return record
