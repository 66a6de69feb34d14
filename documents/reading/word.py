"""A .docx file -> paragraphs and rows, in their order."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from docx import Document
from docx.document import Document as WordFile
from docx.oxml.ns import qn
from docx.table import Table, _Row
from docx.text.paragraph import Paragraph

from documents.model import Block, FileRefused, Line, Row
from documents.reading.contents import LEGACY, is_legacy_font
from documents.reading.limits import Limits
from documents.reading.numbering import Numbering


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Yield paragraphs and table rows.

    Raises:
        FileRefused: The file is written in a font of an old encoding.
    """
    document = Document(str(path))
    _refuse_legacy_fonts(path.name, document)
    yield from _Reader(document, limits).blocks()


class _Reader:
    """Reads one document from its beginning: the numbers Word counts go on through it."""

    def __init__(self, document: WordFile, limits: Limits) -> None:
        self._document = document
        self._limits = limits
        self._numbering = Numbering(document)

    def blocks(self) -> Iterator[Block]:
        table, line = 0, 0
        for part in self._document.iter_inner_content():
            if isinstance(part, Paragraph):
                for text in self._text(part).split("\n"):
                    line += 1
                    yield Line(text, line)
                continue
            table += 1
            seen: dict[object, str | None] = {}
            for number, row in enumerate(part.rows, start=1):
                if number > self._limits.rows:
                    return
                yield self._row(row, seen, table, number)

    def _row(self, row: _Row, seen: dict[object, str | None], table: int, number: int) -> Row:
        """Return a row; what is merged downwards stands in each row it spans."""
        cells: list[str | None] = [None] * row.grid_cols_before
        spans = list(range(row.grid_cols_before))
        owner_of: dict[object, int] = {}
        for cell in row.cells:
            place = len(cells)
            owner = owner_of.setdefault(cell._tc, place)  # noqa: SLF001  merged cells share it
            if cell._tc not in seen:  # noqa: SLF001
                seen[cell._tc] = self._cell(cell.paragraphs, cell.tables)  # noqa: SLF001
            spans.append(owner)
            cells.append(seen[cell._tc] if owner == place else None)  # noqa: SLF001
        return Row(tuple(cells), tuple(spans), table, number)

    def _cell(self, paragraphs: list[Paragraph], tables: list[Table]) -> str | None:
        """Return the text of a cell; tables inside it are read row by row: nothing is lost."""
        lines = [self._text(p) for p in paragraphs]
        for table in tables:
            for row in table.rows:
                lines += [self._cell(c.paragraphs, c.tables) or "" for c in row.cells]
        text = "\n".join(lines).strip("\n")
        return text if text.strip() else None

    def _text(self, paragraph: Paragraph) -> str:
        """Return a paragraph as Word shows it, with the number it is given.

        Text deleted with changes tracked is not shown; what was inserted is.
        """
        parts = []
        for node in paragraph._p.iter(*_SHOWN):  # noqa: SLF001  python-docx skips insertions
            match node.tag.rpartition("}")[2]:
                case "t":
                    parts.append(node.text or "")
                case "tab":
                    parts.append("\t")
                case "noBreakHyphen":
                    parts.append("-")
                case _:
                    parts.append("\n")
        text = "".join(parts)
        label = self._numbering.label(paragraph)
        if label:
            text = f"{label} {text}" if text.strip() else label
        return unicodedata.normalize("NFC", text)


_SHOWN = tuple(qn(f"w:{name}") for name in ("t", "br", "cr", "tab", "noBreakHyphen"))


def _refuse_legacy_fonts(name: str, document: WordFile) -> None:
    """Refuse a file in which text is written in a font of an old encoding."""
    for fonts in document.element.body.iter(qn("w:rFonts")):
        if any(is_legacy_font(font) for font in fonts.attrib.values()):
            run = fonts.getparent().getparent()
            if run is not None and any(t.text and t.text.strip() for t in run.iter(qn("w:t"))):
                raise FileRefused(name, LEGACY)
    normal = document.styles["Normal"].font.name if "Normal" in document.styles else None
    if is_legacy_font(normal):
        raise FileRefused(name, LEGACY)
