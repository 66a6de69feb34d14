"""How much a file may ask of the reader before it is refused."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one reading: sizes in bytes, times in seconds."""

    file_bytes: int = 30_000_000
    unpacked_bytes: int = 200_000_000
    archive_entries: int = 5_000
    memory_bytes: int = 1_000_000_000
    seconds: float = 60.0
    xml_depth: int = 200
    columns: int = 100
    rows: int = 50_000
    pages: int = 500
    output_bytes: int = 60_000_000


DEFAULT = Limits()
