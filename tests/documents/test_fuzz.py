"""Files damaged at random: an answer each time, within its time, and nothing left behind.

`DONDOC_TEST_FUZZ_SECONDS=600` goes on for ten minutes; the seed is printed.
"""

import os
import random
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from documents import annex
from documents.model import FileRefused
from documents.reading.limits import Limits
from tests.documents.test_plan_51_files import grids
from tests.documents.writers import WRITERS

SECONDS = float(os.environ.get("DONDOC_TEST_FUZZ_SECONDS", "20"))
LIMITS = Limits(seconds=20.0)


def flipped(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 3, 30, 300])):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


def cut(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content)) for _ in range(2))
    return content[:start] + content[end:]


def repeated(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content)) for _ in range(2))
    return content[:end] + content[start:end] * chance.choice([1, 5]) + content[end:]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (flipped, cut, repeated)


def damaged(source: Path, target: Path, chance: random.Random) -> None:
    """Damage a file, or one part inside the archive it is."""
    damage = chance.choice(DAMAGES)
    if source.suffix in {".docx", ".xlsx"} and chance.random() < 0.7:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            chosen = chance.choice(old.namelist())
            for name in old.namelist():
                content = old.read(name)
                new.writestr(name, damage(content, chance) if name == chosen else content)
        return
    target.write_bytes(damage(source.read_bytes(), chance))


def test_a_damaged_file_is_read_or_refused_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    sources = [write(tmp_path / f"a.{kind}", *grids()) for kind, write in WRITERS.items()]
    children = set(psutil.Process().children(recursive=True))
    answers: Counter[str] = Counter()
    end = time.monotonic() + SECONDS

    while time.monotonic() < end:
        source = chance.choice(sources)
        target = tmp_path / f"b{source.suffix}"
        damaged(source, target, chance)
        started = time.monotonic()
        try:
            annex.read(target, limits=LIMITS)
            answers["read"] += 1
        except FileRefused as refusal:
            answers[refusal.why.en[:40]] += 1
        assert time.monotonic() - started < LIMITS.seconds + 5, f"seed {seed}"

    print(f"\nfuzzed with seed {seed}: {dict(answers)}")
    assert sum(answers.values()) > 0
    assert list(temporary.iterdir()) == []
    assert set(psutil.Process().children(recursive=True)) <= children
