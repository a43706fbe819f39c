"""For the first person with a GPU: python scripts/gpu_check.py [--minutes 10] [--out gpu-check.md],
from the checkout, without installing fdi; it needs numpy and torch.

Asks the card one row of each kind, in the order in which they decide, then the others, and is done
in four fifths of the time. Each row comes from a process of its own: after a fault of a GPU a
process can do nothing more with it. The page is written anew after each row; behind its table
stands what a maintainer needs of each failure. Fails if a row does.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
NEEDED = ("numpy", "torch")
COMMAND = [sys.executable, str(Path(__file__).resolve()), "--row"]
LONGEST = 120  # s of a row
WHERE = signal.SIGUSR1  # asks a row where it is
SHARE = 0.8  # of the minutes, for rows; the rest is for what cannot be counted
DECIDES = {
    "card": "whether there is one, and which",
    "network": "whether whole networks have the numbers of the reference engine",
    "kept": "whether a shuffled batch of kept data is the batch that was meant",
    "run": "whether a training can be repeated, and is that of the reference engine",
    "cost": "whether a step needs the memory that was counted, and how long it takes",
    "library": "whether engine=cuda is worth it",
}
"""Kind of a row -> what it decides, in the order in which they are asked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=minutes, default=10)
    parser.add_argument("--out", type=Path, default=Path("gpu-check.md"))
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: there is no folder {options.out.parent}")
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        sys.exit(f"gpu_check needs {', '.join(lacking)}: pip install {' '.join(lacking)}")
    if options.row:
        faulthandler.enable()
        faulthandler.register(WHERE)
    from benchmark import gpu  # torch: after the question whether it is there

    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if options.row:
        print(json.dumps(gpu.row(options.row)))
        return
    signal.signal(signal.SIGTERM, _stop)  # as if interrupted: no row goes on alone
    ends = time.monotonic() + 60 * SHARE * options.minutes
    page = Page(options.out)
    try:
        for name in gpu.rows():
            left = ends - time.monotonic()
            found = _apart(name, min(LONGEST, left)) if left > 0 else UNREACHED
            if name == "card" and found[0] == "FAIL":
                sys.exit("\n".join([*found[2].splitlines()[-30:], f"gpu_check: {found[1]}"]))
            page.add(name, *found)
    except KeyboardInterrupt:
        sys.exit(f"\nstopped; {options.out} has what was found until then")
    page.end()
    sys.exit(bool(page.failures))


UNREACHED = ("-", "not reached in this time", "")


def minutes(given: str) -> float:
    """A number of them."""
    number = float(given)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{given} is not more than 0")
    return number


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _apart(name: str, seconds: float) -> tuple[str, str, str]:
    """A row from a process of its own: its verdict, what it found, or how it ended, and what it
    said on the way; of one that takes too long, where it was.
    """
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen([*COMMAND, name], start_new_session=True, **pipes) as row:
        try:
            told, said = row.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            row.send_signal(WHERE)
            time.sleep(1)
            _end(row)
            return "FAIL", f"not done after {seconds:.0f} s", row.communicate()[1]
        finally:
            _end(row)
    if row.returncode == 0:
        verdict, found = json.loads(told.splitlines()[-1])
        return verdict, found, said
    found = _last_words(said)
    if row.returncode < 0:
        found = f"killed by {signal.Signals(-row.returncode).name}"
    return "FAIL", found, said


def _last_words(said: str) -> str:
    """The error, without the advice that torch appends to it."""
    lines = said.strip().splitlines() or ["without a word"]
    return next((x for x in reversed(lines) if re.match(r"[\w.]+: ", x)), lines[-1])[:160]


def _end(row: subprocess.Popen[str]) -> None:
    """And what it started."""
    with suppress(ProcessLookupError):
        os.killpg(row.pid, signal.SIGKILL)


class Page:
    """What was found so far, in a file from the first row on."""

    def __init__(self, out: Path) -> None:
        self.out, self.card, self.last = out, "", ""
        self.rows: dict[str, list[str]] = {}
        self.failures: list[str] = []

    def add(self, name: str, verdict: str, found: str, said: str) -> None:
        """One more row."""
        kind = name.partition(":")[0]
        if kind == "card":
            self.card = found
        if kind != self.last:
            print(f"\n{DECIDES[kind]}")
        self.last = kind
        self.rows.setdefault(kind, []).append(f"| {name} | {verdict} | {found} |")
        print(f"{verdict:5}{name}: {found}", flush=True)
        if verdict == "FAIL":
            command = f"python scripts/gpu_check.py --row {name!r}"
            words = [command, f"card: {self.card}", found, *said.splitlines()[-30:]]
            self.failures.append("\n".join([f"## {name}", "", "```", *words, "```", ""]))
        self._write()

    def end(self) -> None:
        """Say how it went."""
        ask = "; open an issue for each, with its text on the page" if self.failures else ""
        print(f"\n{len(self.failures)} failed{ask}; wrote {self.out}, please send it to us")

    def _write(self) -> None:
        table = ["| what | | found |", "|---|---|---|"]
        for kind in DECIDES:
            if kind in self.rows:
                table += [f"| **{DECIDES[kind]}** | | |", *self.rows[kind]]
        head = ["# fdi on a GPU", "", self.card, "", f"{len(self.failures)} failed", ""]
        new = self.out.with_name(self.out.name + ".new")
        new.write_text("\n".join([*head, *table, "", *self.failures]))
        new.replace(self.out)


if __name__ == "__main__":
    main()
