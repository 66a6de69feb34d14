"""Reading an office file in a process of its own, which a bad file can only end."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from documents.model import Block, FileRefused, Line, Row
from documents.reading.contents import DAMAGED, TOO_BIG
from documents.reading.limits import DEFAULT, Limits
from engine.errors import Sentence

log = logging.getLogger(__name__)

_EVERY = 200
"""Blocks between two reports of how far the reading is."""


def read(
    path: Path,
    limits: Limits = DEFAULT,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Block]:
    """Return the lines and table rows of an office file, in their order.

    Args:
        path: A .docx, .xlsx, .pdf or .txt file.
        limits: How much it may ask for.
        progress: Called now and then with the number of blocks read so far.

    Raises:
        FileRefused: Why it cannot be read, and what to do.
    """
    # -P: a file beside the office file never becomes a module of the reader.
    command = [sys.executable, "-P", "-m", "documents.reading.worker", str(path.resolve())]
    with subprocess.Popen(  # noqa: S603  our own interpreter and module
        [*command, json.dumps(asdict(limits))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=Path(__file__).parents[2],
        env=_environment(),
    ) as process:
        timer = threading.Timer(limits.seconds, process.kill)
        timer.start()
        problems: list[str] = []
        complaints = threading.Thread(target=_drain, args=(process.stderr, problems))
        complaints.start()
        try:
            blocks, end = _collect(process.stdout, limits, progress)
        finally:
            process.kill()
            complaints.join()
            timed_out = not timer.is_alive()
            timer.cancel()
    if end is None:
        log.warning("reading %s ended with %s: %s", path.name, process.returncode, problems)
        raise FileRefused(path.name, _TOO_SLOW if timed_out else DAMAGED)
    if "refused" in end:
        raise FileRefused(path.name, Sentence(*end["refused"]))
    return blocks


_TOO_SLOW = Sentence(
    "đọc quá lâu nên đã dừng; chỉ giữ phần phụ lục rồi lưu thành tệp mới",
    "reading it took too long and was stopped; keep the annex only and save that as a new file",
)


def _environment() -> dict[str, str]:
    """Return what the worker is told of its surroundings: no settings and no secrets."""
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    return {**own, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}


def _drain(stream: Any, problems: list[str]) -> None:
    """Keep the end of what the worker complains about."""
    for line in stream:
        problems[:] = [*problems[-4:], line.rstrip()]


def _collect(
    stream: Any, limits: Limits, progress: Callable[[int], None]
) -> tuple[list[Block], dict[str, Any] | None]:
    """Return the blocks and the last word of the worker, None when it had none."""
    blocks: list[Block] = []
    size = 0
    for line in stream:
        size += len(line)
        if size > limits.output_bytes:
            return [], {"refused": list(TOO_BIG)}
        try:
            value = json.loads(line)
        except ValueError:  # killed in the middle of a line
            return [], None
        if isinstance(value, dict):
            return blocks, value
        blocks.append(_block(value))
        if len(blocks) % _EVERY == 0:
            progress(len(blocks))
    return [], None


def _block(value: list[Any]) -> Block:
    if isinstance(value[0], str):
        return Line(*value)
    cells, spans, *rest = value
    return Row(tuple(cells), tuple(spans), *rest)
