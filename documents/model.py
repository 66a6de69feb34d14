"""What a reader finds in an office file, whatever its format: lines of text and rows of cells."""

from dataclasses import dataclass

from engine.errors import EngineError, Sentence


class FileRefused(EngineError):
    """An office file cannot be read; the sentence says why and what to do."""

    def __init__(self, file: str, why: Sentence) -> None:
        super().__init__(
            Sentence(
                f"Tệp {file} không đọc được: {why.vi}. Chưa có gì được lưu.",
                f"The file {file} cannot be read: {why.en}. Nothing was stored.",
            )
        )
        self.why = why


@dataclass(frozen=True, slots=True)
class Line:
    """A line or paragraph outside a table; `page` and `number` begin at 1 where known."""

    text: str
    number: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    `cells` are texts as printed (NFC), None for an empty one. `spans` holds for each cell the
    place of the cell whose text it shares: `(0, 1, 1, 3)` has its second and third cell merged,
    and the text stands in the second.
    """

    cells: tuple[str | None, ...]
    spans: tuple[int, ...]
    table: int
    number: int
    page: int | None = None


Block = Line | Row
