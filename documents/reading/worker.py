"""The process that parses one file: limited in memory and time, able to write nothing.

Answers on standard output, one JSON value a line: blocks as lists, how far it is as a number, at
the end `{"done": true}` or `{"refused": [vi, en]}`. Whatever it does not foresee ends it, and the
process that asked says so.
"""

import json
import logging
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from documents.model import Block, FileRefused, Line
from documents.reading import contents, excel, pdf, text, word
from documents.reading.limits import Limits

_READERS: dict[str, Callable[[Path, Limits], Iterator[Block]]] = {
    "docx": word.read,
    "xlsx": excel.read,
    "pdf": pdf.read,
    "text": text.read,
}


def main() -> None:
    """Read the file named by the first argument, within the limits in the second."""
    path, limits = Path(sys.argv[1]), Limits(**json.loads(sys.argv[2]))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    seconds = int(limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What the libraries find odd about a file is not for whoever imports it.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    try:
        _answer(path, limits)
    except FileRefused as refusal:
        _say({"refused": list(refusal.why)})
    except (MemoryError, RecursionError):
        _say({"refused": list(contents.TOO_BIG)})


def _answer(path: Path, limits: Limits) -> None:
    kind = contents.check(path, limits)
    texts: list[str] = []
    blocks = 0
    for block in _READERS[kind](path, limits):
        blocks += 1
        if isinstance(block, Line):
            texts.append(block.text)
            _say([block.text, block.number, block.page])
        else:
            texts += [cell for cell in block.cells if cell]
            _say([block.cells, block.spans, block.table, block.number, block.page])
    contents.refuse_legacy(path.name, iter(texts))
    _say({"done": blocks})


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
