"""The command line run inside the process of the test: as `Cli`, in a tenth of the time."""

import subprocess
import sys
from pathlib import Path

import pytest

import dondoc
from engine.settings import Settings
from tests.cli.test_commands import Cli


class Inside(Cli):
    """`dondoc …` with its own arguments, variables, input, output and exit code."""

    def __init__(
        self,
        settings: Settings,
        patch: pytest.MonkeyPatch,
        captured: pytest.CaptureFixture[str],
        folder: Path,
    ) -> None:
        super().__init__(settings)
        self.environment["DONDOC_DATA_DIR"] = str(folder)
        self._patch = patch
        self._captured = captured

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        import io

        with self._patch.context() as patch:
            for name, value in self.environment.items():
                if name.startswith("DONDOC_"):
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", ["dondoc", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            patch.setattr(dondoc._State, "language", None)
            self._captured.readouterr()
            code = 0
            try:
                dondoc.main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        said = self._captured.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)
