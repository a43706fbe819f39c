"""Commands in forked processes that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace


class Zygote:
    """Starts `fdi-run`, or another command, in a process of its own, in milliseconds; `package`:
    the folder of another fdi.
    """

    def __init__(self, folder: Path, package: Path | None = None) -> None:
        self.folder, self.count = folder, 0
        paths = [str(path) for path in (package, os.environ.get("PYTHONPATH")) if path]
        script = Path(__file__).parent / "survival" / "zygote.py"
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )

    def home(self) -> Path:
        """A new folder to run in, in one of its own."""
        self.count += 1
        home = self.folder / str(self.count) / "here"
        home.mkdir(parents=True)
        return home

    def start(self, home: Path, *argv: str, **how) -> int:
        """`how`: see zygote.py."""
        return self._ask(argv=argv, folder=str(home), **how)

    def end(self, home: Path, pid: int) -> SimpleNamespace:
        code = self._ask(wait=pid)
        out, err = ((home.parent / name).read_text() for name in ("stdout", "stderr"))
        return SimpleNamespace(code=code, out=out, err=err)

    def run(self, home: Path, *argv: str, **how) -> SimpleNamespace:
        return self.end(home, self.start(home, *argv, **how))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _ask(self, **order) -> int:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())
