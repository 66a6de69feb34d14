"""The numbers Word writes before paragraphs: they are counted by Word and stand in no text."""

from collections import defaultdict
from typing import Any

from docx.document import Document
from docx.oxml.ns import qn
from docx.text.paragraph import Paragraph

_ROMAN = ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


class Numbering:
    """Counts the numbered paragraphs of one document, from its beginning.

    Source:
        ECMA-376 Part 1, 17.9 (Numbering): a paragraph names a list (`numId`) and a level; the
        list's definition gives each level a start, a format and a text such as `%1.%2.`.
    """

    def __init__(self, document: Document) -> None:
        self._levels: dict[tuple[str, int], Any] = {}
        self._abstract: dict[str, str] = {}
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)
        self._of_style = {
            style.style_id: style.element.find(qn("w:pPr")) for style in document.styles
        }
        # Not `document.part.numbering_part`: that makes one where there is none.
        part = next(
            (
                r.target_part
                for r in document.part.rels.values()
                if not r.is_external and r.reltype.endswith("/numbering")
            ),
            None,
        )
        if part is None:
            return
        root: Any = getattr(part, "element", None)
        if root is None:  # no XML: Word would not read it either
            return
        definitions = {a.get(qn("w:abstractNumId")): a for a in root.iter(qn("w:abstractNum"))}
        for number in root.iter(qn("w:num")):
            name = number.get(qn("w:numId"))
            reference = number.find(qn("w:abstractNumId"))
            definition = definitions.get(None if reference is None else reference.get(qn("w:val")))
            if name is None or definition is None:
                continue
            self._abstract[name] = definition.get(qn("w:abstractNumId"), "")
            for level in definition.iter(qn("w:lvl")):
                self._levels[name, int(level.get(qn("w:ilvl"), "0"))] = level

    def label(self, paragraph: Paragraph) -> str:
        """Return the number before a paragraph, "" where it has none; counts it."""
        name, depth = self._place(paragraph)
        if name is None or (name, depth) not in self._levels:
            return ""
        counts = self._counts[self._abstract[name]]
        counts[depth] = counts.get(depth, self._start(name, depth) - 1) + 1
        for deeper in [d for d in counts if d > depth]:
            del counts[deeper]
        level = self._levels[name, depth]
        label = _value(level, "w:lvlText", "")
        for n in range(depth + 1):
            number = counts.setdefault(n, self._start(name, n))
            shape = _value(self._levels.get((name, n)), "w:numFmt", "decimal")
            label = label.replace(f"%{n + 1}", _written(number, shape))
        return label if any(c.isalnum() for c in label) else ""

    def _place(self, paragraph: Paragraph) -> tuple[str | None, int]:
        own = paragraph._p.pPr  # noqa: SLF001  python-docx has no name for it
        for properties in (own, self._of_style.get(paragraph._p.style or "")):  # noqa: SLF001
            numbered = None if properties is None else properties.find(qn("w:numPr"))
            if numbered is not None:
                name = _value(numbered, "w:numId", "")
                return name or None, int(_value(numbered, "w:ilvl", "0"))
        return None, 0

    def _start(self, name: str, depth: int) -> int:
        return int(_value(self._levels.get((name, depth)), "w:start", "1"))


def _value(element: Any, child: str, default: str) -> str:
    found = None if element is None else element.find(qn(child))
    return default if found is None else str(found.get(qn("w:val"), default))


def _written(number: int, shape: str) -> str:
    """Return a number as a format of Word writes it; bullets and unknown formats as nothing."""
    match shape:
        case "decimal":
            return str(number)
        case "decimalZero":
            return f"{number:02}"
        case "upperRoman" | "lowerRoman":
            written, left = "", number
            for value, letters in _ROMAN:
                written += letters * (left // value)
                left %= value
            return written if shape == "upperRoman" else written.lower()
        case "upperLetter" | "lowerLetter":
            letter = chr(ord("A") + (number - 1) % 26)
            return letter if shape == "upperLetter" else letter.lower()
        case _:
            return ""
