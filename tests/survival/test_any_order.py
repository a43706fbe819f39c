"""Commands in any order on one folder of results, as its user meets it: runs, sweeps and best,
killed at any moment or cut off from power; records, tables and names edited, copied, deleted and
put back; data, own code and fdi changed. After each step all numbers that commands show are those
of runs that nobody disturbed, of the same configuration, data, code and fdi, in another folder; or
a line names what is not.

The long games take FDI_TEST_MINUTES, 10 unless given, and begin with the seed FDI_TEST_SEED; each
prints its seed and, where it fails, its steps.
"""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from forks import Zygote
from making import packed

import fdi
from fdi.track.files import CHECKPOINT, METRICS, RUN
from fdi.track.record import look

SMALL = (
    *("dataset=arrays", "dataset.file=data.npz", "model.hidden=4", "engine=reference"),
    *("threads=1", "trainer.batch_size=8", "probe=none", "homeostasis=none", "--config-dir=conf"),
)
CHOOSING = ("tune.seeds=[1000]", "tune.keep=1", "tune.extend=0", "tune.values=[1e-3,1e-1]")
BEST = (
    *("-m", "experiment=best", "init=kaiming,fluct", "seed=0,1", "trainer.epochs=2"),
    *(*SMALL[:-1], *CHOOSING, "tune.short=2"),
)
INITS = ("kaiming", "mine")
OWN = """# {comment}
from fdi.init.baselines import Kaiming


class Mine(Kaiming):
    def draw(self, drawing):
        super().draw(drawing)
        for one in drawing.afferents:
            one.weight.data *= {gain}
"""
SAYINGS: tuple[tuple[str, tuple[str, ...]], ...] = (  # optimizer.eps, and words that say it
    ("1e-16", ()),
    ("1e-16", ("optimizer.eps=1e-16",)),
    ("1e-16", ("~optimizer.eps",)),
    ("1e-16", ("~optimizer.precision", "trainer.clip=null")),
    ("1e-16", ("~model.norm", "~neuron.learn_tau")),
    ("1e-08", ("optimizer.eps=1e-8",)),
    ("1e-08", ("optimizer.eps=1.0e-8", "optimizer.precision=float32")),
)
KEYS = {  # key -> its value where a run does not mention it
    "seed": "",
    "trainer.epochs": "",
    "trainer.test": "True",
    "optimizer.lr": "0.005",
    "optimizer.eps": "1e-16",
    "optimizer.precision": "float32",
}
APART = ("path", "init", "seconds", "sweeps", "tags", "note", "modules", "data_checksum", "id")
"""Columns of the table of runs that two undisturbed runs of a configuration need not share."""
NUMBERS = ("test_accuracy_last", "test_accuracy_best", "valid_accuracy_last", "rate/h1")
SHOWN = ("accuracy", "accuracy_best", "valid", "rate/h1")
ENDS = {-9: "killed", 99: "cut"}
OFTEN = {"runner/training.py": (r"SAVE_EVERY = 2\.0", "SAVE_EVERY = 0.0")}
"""File of fdi -> a pattern, and what takes its place: a checkpoint after each epoch, since those of
the game are short.
"""
OTHER = OFTEN | {  # other numerics, and other numbers
    "config/identity.py": (r"NUMERICS = (\d+)", r"NUMERICS = 1\1"),
    "init/baselines.py": (r"_normal\(weight, self.gain, ", "_normal(weight, 1.1 * self.gain, "),
}


class Cell(NamedTuple):
    """What a number belongs to: the initialization, words, and versions of data, own code (None for
    an initialization of fdi) and fdi.
    """

    init: str
    words: tuple[str, ...]
    data: int
    code: int | None
    version: int


class Undisturbed:
    """What fdi-table shows of runs in folders of their own."""

    def __init__(self, zygotes: list[Zygote]) -> None:
        self.zygotes = zygotes
        self.runs: dict[Cell, dict[str, str]] = {}
        self.curves: dict[Cell, list[dict[str, str]]] = {}
        usual = ("seed=0", "trainer.epochs=2")
        known = [Cell("kaiming", usual, data, None, 0) for data in (0, 1)]
        self.data = {self.row(cell)["data"]: cell.data for cell in known}
        known = [Cell("mine", usual, 0, code, 0) for code in (0, 1)]
        self.code = {self.row(cell)["init.own_code"]: cell.code for cell in known}
        known = [Cell("kaiming", usual, 0, None, version) for version in range(len(zygotes))]
        self.version = {self.row(cell)["numerics"]: cell.version for cell in known}
        assert len(self.data) == len(self.code) == 2
        assert len(self.version) == len(zygotes)

    def cell(self, row: Mapping[str, str]) -> Cell | None:
        """Of a row of the table of runs; None for one that went on with another fdi."""
        if row["numerics"] not in self.version:
            assert "after epoch" in row["numerics"], row["numerics"]
            return None
        name = row["init._target_"].rpartition(".")[2].lower()
        words = tuple(f"{key}={value_of(row, key)}" for key in KEYS)
        code = self.code[row["init.own_code"]] if name == "mine" else None
        return Cell(name, words, self.data[row["data"]], code, self.version[row["numerics"]])

    def row(self, cell: Cell) -> dict[str, str]:
        if cell not in self.runs:
            zygote = self.zygotes[cell.version]
            home = zygote.home()
            furnish(home, cell.data, cell.code or 0)
            end = zygote.run(home, *SMALL, f"init={cell.init}", *cell.words)
            assert end.code == 0, end.err
            (self.runs[cell],), _ = table_of(zygote, home, "runs")
            self.curves[cell], _ = table_of(zygote, home, "curves")
        return self.runs[cell]


class Game:
    """One folder, and what its user does there; `rng` decides."""

    def __init__(self, zygotes: list[Zygote], alone: Undisturbed, seed: int) -> None:
        self.zygotes, self.alone, self.rng = zygotes, alone, random.Random(seed)
        self.home = zygotes[0].home()
        self.results = self.home / "results"
        self.data = self.code = self.version = self.ages = 0
        self.done: dict[str, Cell] = {}  # places of finished runs that nobody has disturbed since
        self.back: dict[Path, bytes] = {}  # files that were edited, as they were
        self.last: tuple[Any, ...] | None = None
        self.log: list[str] = []
        self.steps: Counter[str] = Counter()
        furnish(self.home, 0, 0)

    def play(self, steps: int) -> None:
        """Raises AssertionError for a number that is wrong, or a thing that has no line."""
        choices = {
            self.run: 24,
            self.again: 10,
            self.sweep: 8,
            self.best: 2,
            self.change_data: 3,
            self.change_code: 3,
            self.plugin: 2,
            self.upgrade: 4,
            self.edit: 12,
            self.put_back: 5,
            self.note: 2,
            self.copy: 3,
            self.rename: 2,
            self.delete_file: 3,
            self.exchange: 6,
            self.delete_folder: 2,
            self.plan: 2,
            self.backup: 1,
        }
        looks = {
            self.table: 8,
            self.curves: 4,
            self.status: 2,
            self.at_best: 3,
            self.report: 1,
        }
        for number in range(steps):
            for among in (choices if number else {self.sweep: 1}, looks):
                (step,) = self.rng.choices([*among], [*among.values()])
                self.log.append(step.__name__)
                self.steps[step.__name__] += 1
                step()
                if among is not looks:
                    self.rows = self.checked()

    def call(self, *words: str, **how: Any) -> SimpleNamespace:
        end = self.zygotes[self.version].run(self.home, *words, **how)
        self.log[-1] += f" {how.get('command', '')} {' '.join(words)} -> {end.code}"
        told = f"\n{end.out}\n{end.err}"
        assert "Traceback" not in told, told
        assert end.code in (0, 1, 2, *ENDS), told
        return end

    # what happens

    def run(self) -> None:
        self.last = (
            self.rng.choice(INITS),
            self.rng.choice((2, 3)),
            self.rng.choice(SAYINGS),
            self.rng.randrange(2),
        )
        self.command(*self.last)

    def again(self) -> None:
        """The same, longer, from the other initialization, or the other seed."""
        if self.last is None:
            return
        init, epochs, said, seed = self.last
        change = self.rng.randrange(4)
        if change == 1:
            epochs += 1
        elif change == 2:
            init = INITS[1 - INITS.index(init)]
        elif change == 3:
            seed = 1 - seed
        self.command(init, epochs, said, seed)

    def sweep(self) -> None:
        eps, words = self.rng.choice(SAYINGS)
        epochs = self.rng.choice((2, 3))
        given = ("-m", "init=kaiming,mine", "seed=0,1", f"trainer.epochs={epochs}", *words)
        wanted = [(init, epochs, eps, seed) for init in INITS for seed in (0, 1)]
        self.ended(wanted, *SMALL, *given)

    def command(self, init: str, epochs: int, said: tuple[str, Any], seed: int) -> None:
        eps, words = said
        given = (f"init={init}", f"trainer.epochs={epochs}", f"seed={seed}", *words)
        self.ended([(init, epochs, eps, seed)], *SMALL, *given)

    def ended(self, wanted: list[tuple[Any, ...]], *words: str) -> None:
        """A command that perhaps a kill or a power cut ends; what it finishes is done."""
        before = {path: path.read_bytes() for path in self.folders(RUN) if path in self.whole()}
        there = bool(self.folders())
        end = self.disturbed(*words)
        told = f"{end.out}\n{end.err}"
        for path, content in before.items():
            assert path.read_bytes() == content, f"rewrote {path}: {told}"
        if end.code == 0:
            rows, _ = table_of(self.zygotes[self.version], self.home, "runs")
            for init, epochs, eps, seed in wanted:
                mine = [r for r in rows if r["state"] == "done" and self.is_of(r, init)]
                said = {"seed": str(seed), "trainer.epochs": str(epochs), "optimizer.eps": eps}
                mine = [r for r in mine if all(value_of(r, key) == said[key] for key in said)]
                now = [r for r in mine if self.alone.version.get(r["numerics"]) == self.version]
                assert mine, f"{init} {said} is not done: {told}"
                assert now or "numerics" in told, f"no word on numerics: {told}"
                for row in mine:
                    if cell := self.alone.cell(row):
                        self.done[row["path"]] = cell
        elif end.code not in ENDS:
            lines = end.err.splitlines()
            assert len(lines) == 1 or ("-m" in words and told.strip()), told
            assert there or not self.has_plugin(), f"refused without a reason: {told}"

    def is_of(self, row: Mapping[str, str], init: str) -> bool:
        """Whether a run has the data and the code that are there now."""
        name = row["init._target_"].rpartition(".")[2].lower()
        mine = init != "mine" or self.alone.code.get(row["init.own_code"]) == self.code
        return name == init and mine and self.alone.data.get(row["data"]) == self.data

    def disturbed(self, *words: str) -> SimpleNamespace:
        """The end of a command that is killed at any moment or at a call of fsync, cut off from
        power, or left alone.
        """
        how = self.rng.choice(("alone", "alone", "alone", "time", "fsync", "cut"))
        if how == "time":
            zygote, seconds = self.zygotes[self.version], self.rng.uniform(0, 1.5)
            pid = zygote.start(self.home, *words)
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
            end = zygote.end(self.home, pid)
            self.log[-1] += f" {' '.join(words)} killed after {seconds:.3f} s -> {end.code}"
            assert "Traceback" not in end.err, end.err
            return end
        moment = self.rng.randint(1, 80)
        if how == "cut":
            left = self.home.with_name("left")
            cut = {"target": str(left), "moment": moment, "seed": moment}
            end = self.call(*words, cut=cut)
            shutil.rmtree(self.home)
            left.rename(self.home)
            return end
        return self.call(*words, **({"killed": moment} if how == "fsync" else {}))

    def best(self) -> None:
        self.disturbed(*BEST)

    def change_data(self) -> None:
        self.data = 1 - self.data
        overwrite(self.home / "data.npz", packed(self.data), self.rng.random() < 0.5)

    def change_code(self) -> None:
        """Its numbers, or a comment in it."""
        if not self.has_plugin():
            return
        self.code = self.rng.randrange(2)
        self.ages += 1
        text = own(self.code, 0)
        overwrite(self.home / "own_code.py", text.encode(), self.rng.random() < 0.5)

    def plugin(self) -> None:
        """The module of an own initialization is taken away, or brought again."""
        files = furnished(self.home)
        if self.has_plugin():
            for file in files:
                file.unlink()
        else:
            furnish(self.home, self.data, self.code)

    def has_plugin(self) -> bool:
        return (self.home / "own_code.py").exists()

    def upgrade(self) -> None:
        """Another fdi, whose numbers are others, is installed."""
        self.version = (self.version + 1) % len(self.zygotes)

    def edit(self) -> None:
        """A digit of a result, a value of the configuration, or of a learning curve."""
        files = self.folders(self.rng.choice((RUN, METRICS)))
        if not files:
            return
        path = self.rng.choice(files)
        content = path.read_bytes()
        places = [found.start() for found in re.finditer(rb"\d", content)]
        if path.name == RUN:  # its user may edit tags and note
            end = content.rindex(b'"tags"')
            start = max(0, content.rfind(b'"result"')) if self.rng.random() < 0.7 else 0
            places = [place for place in places if start < place < end]
        if not places:
            return
        self.back.setdefault(path, content)
        at = self.rng.choice(places)
        digit = b"1" if content[at : at + 1] != b"1" else b"2"
        overwrite(path, content[:at] + digit + content[at + 1 :], self.rng.random() < 0.5)
        self.forget(path.parent)
        self.log[-1] += f" {path}: byte {at}"

    def put_back(self) -> None:
        for path, content in self.back.items():
            if path.exists():
                path.write_bytes(content)
        self.back.clear()

    def note(self) -> None:
        if paths := self.folders(RUN):
            path = self.rng.choice(paths)
            text = path.read_text()
            path.write_text(text.replace('"note": null', '"note": "mine"'))

    def copy(self) -> None:
        """A folder beside itself, or to the name of another seed or initialization."""
        self.placed(shutil.copytree)

    def rename(self) -> None:
        self.placed(shutil.move)

    def placed(self, how: Any) -> None:
        if not (paths := self.folders()):
            return
        path = self.rng.choice(paths)
        other = {"kaiming": "mine", "mine": "kaiming"}.get(path.parent.name, "fluct")
        place = self.rng.choice(
            (
                path.with_name(f"{path.name}_kept"),
                path.with_name(f"seed=7-{path.name.rpartition('-')[2]}"),
                path.parents[1] / other / path.name,
            )
        )
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            how(path, place)
            self.log[-1] += f" {path} to {place}"
            if not path.exists():
                self.forget(path)

    def delete_file(self) -> None:
        if paths := self.folders():
            path = self.rng.choice(paths)
            file = path / self.rng.choice((CHECKPOINT, METRICS, RUN))
            file.unlink(missing_ok=True)
            self.log[-1] += f" {file}"
            if file.name == RUN:
                self.forget(path)

    def exchange(self) -> None:
        """The checkpoint of a run in place of that of another, whose weights have its shapes; then
        the run, or one of more epochs.
        """
        if len(files := self.folders(CHECKPOINT)) < 2:
            return
        source, path = self.rng.sample(files, 2)
        self.back.setdefault(path, path.read_bytes())
        overwrite(path, source.read_bytes(), self.rng.random() < 0.5)
        self.log[-1] += f" {source} to {path}"
        config = look(path.parents[1]).config
        if config and config["optimizer"]["lr"] == 0.005 and self.has_plugin():
            init = "mine" if "own_code" in config["init"]["_target_"] else "kaiming"
            eps = f"optimizer.eps={config['optimizer']['eps']}"
            epochs = config["trainer"]["epochs"] + self.rng.randrange(2)
            said = (str(config["optimizer"]["eps"]), (eps,))
            self.command(init, epochs, said, config["seed"])

    def delete_folder(self) -> None:
        if paths := self.folders():
            path = self.rng.choice(paths)
            shutil.rmtree(path)
            self.log[-1] += f" {path}"
            self.forget(path)

    def plan(self) -> None:
        """A plan or a decision is damaged."""
        kinds = ("sweeps/*.json", "choices/*/choice.json")
        files = [path for kind in kinds for path in self.results.glob(kind)]
        if files:
            path = self.rng.choice(sorted(files))
            path.write_bytes(path.read_bytes()[: self.rng.randrange(20)])
            self.log[-1] += f" {path}"

    def backup(self) -> None:
        """All of it, brought back from a copy."""
        if self.results.exists():
            shutil.copytree(self.results, self.home / "backup")
            shutil.rmtree(self.results)
            (self.home / "backup").rename(self.results)

    def forget(self, folder: Path) -> None:
        self.done.pop(self.place(folder), None)

    # what there is

    def place(self, folder: Path) -> str:
        return folder.relative_to(self.home).as_posix()

    def folders(self, file: str = "") -> list[Path]:
        """Those of runs, or the files of this name in them."""
        return sorted(path for path in self.results.glob(f"runs/*/*/*/seed=*/{file}"))

    def whole(self) -> set[Path]:
        return {self.home / place / RUN for place in self.done}

    def checked(self) -> list[dict[str, str]]:
        """The rows of fdi-table --runs: each finished one is that of an undisturbed run; each
        folder has one, or is named.
        """
        rows, err = table_of(self.zygotes[self.version], self.home, "runs")
        there = {self.place(folder) for folder in self.folders()}
        assert {row["path"] for row in rows} == there, err
        for row in rows:
            if row["state"] == "broken":
                assert row["path"] in err, f"no line on {row['path']}: {err}"
            elif row["state"] in ("done", "untested"):
                self.compare(row)
            else:
                assert not row["test_accuracy_last"], row
        done = {row["path"]: row for row in rows if row["state"] == "done"}
        for place, cell in self.done.items():
            assert place in done, f"lost {place}: {err}"
            assert self.alone.cell(done[place]) == cell, place
        return [row for row in rows if row["state"] in ("done", "untested")]

    def compare(self, row: Mapping[str, str]) -> None:
        if not (cell := self.alone.cell(row)):
            return
        other = self.alone.row(cell)
        assert row["init"].startswith(row["init._target_"].rpartition(".")[2].lower()), row
        for key in (key for key in row if key not in APART):
            mine, theirs = row[key], other.get(key, "")
            assert same(mine, theirs), f"{row['path']}: {key} = {mine}, undisturbed {theirs}"

    def asked(self, *words: str) -> SimpleNamespace | None:
        """What fdi-table says; None where it has nothing to show, in one line."""
        end = self.call(*words, command="table")
        if end.code:
            assert not end.out, end.out
            return None
        return end

    def table(self) -> None:
        expected = sorted(self.conditions())
        end = self.asked("--csv", *self.rng.choice(((), ("--full",))))
        printed = [row for row in records(end.out) if row["n"] != "0"] if end else []
        found = sorted(
            (row["init"], [float(row[key] or 0) for key in ("n", *SHOWN, "versus")])
            for row in printed
        )
        assert [row[0] for row in found] == [row[0] for row in expected], f"{found}\n{expected}"
        for (_, one), (_, other) in zip(found, expected):
            assert np.allclose(one, other), f"{found}\n{expected}"

    def conditions(self) -> Iterator[tuple[str, list[float]]]:
        """init, n, NUMBERS and the difference to kaiming of the rows that there should be."""
        groups: dict[tuple[Any, ...], dict[str, list[float]]] = defaultdict(dict)
        for row in self.rows:
            if row["state"] == "done":
                groups[self.condition(row)][row["seed"]] = [float(row[key]) for key in NUMBERS]
        for (init, _, *rest), seeds in groups.items():
            base = groups.get(("kaiming", "", *rest), {}) if init != "kaiming" else {}
            pairs = [seeds[seed][0] - base[seed][0] for seed in seeds if seed in base]
            means = np.mean([*seeds.values()], axis=0)
            yield init, [len(seeds), *means, float(np.mean(pairs or [0.0]))]

    def condition(self, row: Mapping[str, str]) -> tuple[str, ...]:
        keys = [key for key in KEYS if key != "seed"]
        others = [row[key] for key in ("init", "init.own_code", "data", "numerics")]
        return (*others, *(value_of(row, key) for key in keys))

    def curves(self) -> None:
        """Each row is that of an undisturbed run, and each finished run has all of its own."""
        rows, err = table_of(self.zygotes[self.version], self.home, "curves")
        found: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            found[row["path"]].append(row)
        for run in self.rows:
            cell = self.alone.cell(run)
            if cell is None:
                continue
            self.alone.row(cell)
            mine, theirs = found[run["path"]], self.alone.curves[cell]
            if not mine:
                assert run["path"] in err, f"no line on the curve of {run['path']}: {err}"
            for one, other in zip(mine, theirs, strict=bool(mine)):
                for key in (k for k in other if k not in APART and "seconds" not in k):
                    assert same(one[key], other[key]), f"{run['path']}, {key}: {one}\n{other}"

    def status(self) -> None:
        end = self.call(command="status")
        if end.code == 0:
            assert end.out, end.err

    def at_best(self) -> None:
        """Each mean of fdi-table --best is over runs of one condition."""
        end = self.asked("--best", "--csv")
        groups: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        for row in self.rows:
            if row["state"] == "done":
                groups[self.condition(row)].append(float(row["test_accuracy_last"]))
        there = {
            (key[0], len(of), round(100 * float(np.mean(of)), 6)) for key, of in groups.items()
        }
        for row in records(end.out) if end else []:
            shown = (row["init"], int(row["n"]), round(float(row["mean"]), 6))
            assert shown in there, f"{row}\n{there}"

    def report(self) -> None:
        """How many runs are done, at the top of the page."""
        end = self.call(command="report")
        if end.code:
            assert not self.folders(), end.err
            return
        page = (self.results / "report.html").read_text()
        (found,) = re.findall(r"<p class=said>.*?(\d+ done)?[,<]", page)
        done = sum(row["state"] == "done" for row in self.rows)
        assert found == (f"{done} done" if done else "")


def value_of(row: Mapping[str, str], key: str) -> str:
    """Of one of KEYS."""
    return row.get(key, "").removesuffix(".0") or KEYS[key]


def same(one: str, other: str) -> bool:
    """Whether two cells hold the same; a column of whole numbers and gaps is one of floats."""
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False


def records(text: str) -> list[dict[str, str]]:
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    return table.to_dict("records")  # type: ignore[return-value]


def table_of(zygote: Zygote, home: Path, what: str) -> tuple[list[dict[str, str]], str]:
    """The rows of fdi-table --runs or --curves, and what it says on stderr."""
    file = home.parent / "table.csv"
    end = zygote.run(home, f"--{what}", str(file), command="table")
    if end.code:
        assert "no runs in" in end.err, end.err
        return [], end.err
    return records(file.read_text()), end.err


def own(version: int, age: int) -> str:
    return OWN.format(comment=f"{age:04d}", gain=(1.5, 2.5)[version])


def furnished(home: Path) -> tuple[Path, Path]:
    return home / "own_code.py", home / "conf" / "init" / "mine.yaml"


def furnish(home: Path, data: int, code: int) -> None:
    module, part = furnished(home)
    (home / "data.npz").write_bytes(packed(data))
    part.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(own(code, 0))
    part.write_text("_target_: own_code.Mine\n")


def overwrite(path: Path, content: bytes, in_place: bool) -> None:
    """As an editor does, or within the file, with the size and the time that it had."""
    if in_place:
        about = path.stat()
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    else:
        new = path.with_name("new")
        new.write_bytes(content)
        new.replace(path)


def changed(folder: Path, changes: Mapping[str, tuple[str, Any]]) -> Path:
    """A folder with another fdi: file -> a pattern that is there once, and what takes its place."""
    package = Path(fdi.__file__).parent
    shutil.copytree(package, folder / "fdi", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (pattern, text) in changes.items():
        file = folder / "fdi" / name
        new, times = re.subn(pattern, text, file.read_text(), flags=re.MULTILINE)
        assert times == 1, (name, pattern)
        file.write_text(new)
    return folder


@pytest.fixture(scope="module")
def versions(request, tmp_path_factory):
    """This fdi, and one with other numbers where two are asked for."""
    new, changes = tmp_path_factory.mktemp, (OFTEN, OTHER)[: request.param]
    found = [Zygote(new("runs"), changed(new("fdi"), each)) for each in changes]
    yield found
    for zygote in found:
        zygote.close()


@pytest.fixture(scope="module")
def alone(versions):
    return Undisturbed(versions)


def played(zygotes: list[Zygote], alone: Undisturbed, seed: int, steps: int) -> Counter[str]:
    """What was done how often."""
    game = Game(zygotes, alone, seed)
    try:
        game.play(steps)
    except Exception as error:
        log = "\n".join(game.log)
        raise AssertionError(f"game {seed} in {game.home}:\n{log}\n{error}") from error
    shutil.rmtree(game.home.parent)
    return game.steps


@pytest.mark.parametrize("versions", [1], indirect=True)
def test_a_short_game(versions, alone):
    played(versions, alone, seed=1, steps=4)  # two sweeps, a folder renamed, a file edited


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("versions", [2], indirect=True)
def test_a_long_game(versions, alone, capsys):
    end = time.monotonic() + 60 * float(os.environ.get("FDI_TEST_MINUTES", "10"))
    seed = int(os.environ.get("FDI_TEST_SEED", time.time()))
    steps: Counter[str] = Counter()
    while time.monotonic() < end:
        steps += played(versions, alone, seed, 25)
        with capsys.disabled():
            print(f"game {seed}: {steps.total()} steps so far, {dict(steps)}", flush=True)
        seed += 1
