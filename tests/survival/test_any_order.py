"""Runs, kills, power cuts, edits, copies, upgrades and tables in any order: every number that a
command prints is that of a fresh run, which nobody disturbed, of exactly its configuration, data,
code and numerics, and no row and no pair mixes two of these.

The long edition takes FDI_TEST_MINUTES, 10 unless given.
"""

from __future__ import annotations

import io
import os
import shutil
import time
from collections import Counter, defaultdict
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from making import edit, numbers

from fdi.cli import status, table
from fdi.config.identity import NUMERICS
from fdi.track import record
from fdi.track.files import CHECKPOINT, METRICS, RUN, parse_json

SMALL = (
    *("dataset=arrays", "dataset.file=data.npz", "model.hidden=4", "engine=reference"),
    *("threads=1", "trainer.batch_size=8", "probe=none", "homeostasis=none", "--config-dir=conf"),
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
SAYINGS: dict[float, tuple[tuple[str, ...], ...]] = {  # optimizer.eps -> words that say it
    1e-16: (
        (),
        ("optimizer.eps=1e-16",),
        ("~optimizer.eps",),
        ("~optimizer.precision", "trainer.clip=null"),
        ("~model.norm", "~neuron.learn_tau"),
    ),
    1e-8: (("optimizer.eps=1e-8",), ("optimizer.eps=1.0e-8", "optimizer.precision=float32")),
}
FILES = (CHECKPOINT, METRICS, RUN)
ENDS = st.none() | st.tuples(st.sampled_from(("kill", "cut")), st.integers(1, 60))
STOPPED = {-9: "killed", 99: "cut"}
COMPARED = ("accuracy", "accuracy_best", "valid", "rate/h1")

End = tuple[str, int] | None


class Cell(NamedTuple):
    """What a number belongs to; `code`: that of init=mine, None of others; `numerics`: as in its
    record.
    """

    init: str
    epochs: int
    eps: float
    seed: int
    data: int
    code: int | None
    numerics: int | str


class AnyOrder(RuleBasedStateMachine):
    zygote: Any = None
    fresh: dict[Cell, dict[str, Any]] = {}
    steps: Counter[str] = Counter()

    @initialize()
    def start(self) -> None:
        self.home = self.zygote.home()
        self.results = self.home / "results"
        self.data = self.code = 0
        self.last: tuple[Any, ...] = ()
        self.cells: dict[str, Cell] = {}
        self.whole: dict[str, bytes] = {}  # the records that were edited, as they were
        self.ages = 0
        furnish(self.home, 0, 0)

    def teardown(self) -> None:
        if hasattr(self, "home"):
            shutil.rmtree(self.home.parent)

    # what happens

    @rule(
        init=st.sampled_from(INITS),
        epochs=st.sampled_from((2, 3)),
        said=st.sampled_from([(eps, words) for eps in SAYINGS for words in SAYINGS[eps]]),
        seed=st.integers(0, 1),
        end=ENDS,
    )
    def run(self, init: str, epochs: int, said: Any, seed: int, end: End) -> None:
        self.last = (init, epochs, said, seed)
        self.command(*self.last, end)

    @precondition(lambda self: self.last)
    @rule(end=ENDS, later=st.sampled_from((0, 0, 1)))
    def run_again(self, end: End, later: int) -> None:
        init, _, said, seed = self.last
        self.command(init, 2 + later, said, seed, end)

    @precondition(lambda self: self.last)
    @rule()
    def run_the_other_init(self) -> None:
        init, epochs, said, seed = self.last
        self.command(INITS[1 - INITS.index(init)], epochs, said, seed, None)

    @precondition(lambda self: self.last)
    @rule()
    def run_the_other_seed(self) -> None:
        init, epochs, said, seed = self.last
        self.command(init, epochs, said, 1 - seed, None)

    def command(self, init: str, epochs: int, said: Any, seed: int, how: End) -> None:
        eps, words = said
        code = self.code if init == "mine" else None
        cell = Cell(init, epochs, eps, seed, self.data, code, NUMERICS)
        given = (f"init={init}", f"trainer.epochs={epochs}", f"seed={seed}", *words)
        before = self.contents()
        end = self.ended(how, *SMALL, *given)
        after = self.contents()
        told = f"{given}\n{end.out}\n{end.err}"
        assert "Traceback" not in end.out + end.err, told
        assert all(after[path] == before[path] for path in before), f"rewrote a result: {told}"
        new = after.keys() - before.keys()
        assert len(new) <= 1, told
        for path in new:
            self.made(path, cell, told)
        if end.code == 0:
            path = end.out.splitlines()[-1].removeprefix("results/")
            assert path in after, told
            self.belongs(path, cell, told)
        elif end.code not in STOPPED:
            assert not new, told
            assert len(end.err.splitlines()) == 1, told
            assert self.disturbed(cell), f"refused without a reason: {told}"
        self.count({0: "run", **STOPPED}.get(end.code, "refused"))

    def ended(self, how: End, *words: str) -> Any:
        """Run a command that a kill or a power cut ends at a call of fsync or replace."""
        kind, moment = how or (None, None)
        if kind != "cut":
            return self.zygote.run(self.home, *words, killed=moment)
        left = self.home.with_name("left")
        cut = {"target": str(left), "moment": moment, "seed": moment}
        end = self.zygote.run(self.home, *words, cut=cut)
        shutil.rmtree(self.home)
        left.rename(self.home)
        return end

    def made(self, path: str, cell: Cell, told: str) -> None:
        """A new result is that of a fresh run."""
        numerics = (record.whole(self.results / path).evidence or {})["numerics"]
        self.cells[path] = cell._replace(numerics=numerics)
        found, alone = numbers(self.results / path), self.alone(cell)
        assert found == alone, f"not that of a fresh run: {told}\n{found}\n{alone}"

    def belongs(self, path: str, cell: Cell, told: str) -> None:
        """What a command ends with is a run of `cell`, or it says that the numerics are others."""
        known = self.cells[path]
        assert known._replace(numerics=NUMERICS) == cell, f"{known}\n{told}"
        assert known.numerics == cell.numerics or "numerics" in told, f"no word: {told}"
        shown = result(self.results / path)["test_accuracy_last"]
        assert f"{100 * shown:.1f}" in told, told

    def disturbed(self, cell: Cell) -> bool:
        """Whether a folder of this configuration is of other data or code, or has lost a file."""
        return any(
            known.init == cell.init and known.seed == cell.seed
            for known in [*self.cells.values(), *self.begun()]
        )

    def begun(self) -> list[Cell]:
        found = []
        for path in self.results.glob("runs/*/*/*/seed=*"):
            seed = int(path.name.removeprefix("seed=").split("-")[0])
            found.append(Cell(path.parent.name, 0, 0, seed, 0, None, NUMERICS))
        return found

    @rule(what=st.sampled_from(("data", "code", "comment")), in_place=st.booleans())
    def change(self, what: str, in_place: bool) -> None:
        """The data, own code or a comment in it are edited."""
        if what == "data":
            self.data = 1 - self.data
            overwrite(self.home / "data.npz", packed(self.data), in_place)
        else:
            self.code = 1 - self.code if what == "code" else self.code
            self.ages += 1
            overwrite(self.home / "own_code.py", own(self.code, self.ages), in_place)
        self.count(f"change {what}")

    @precondition(lambda self: self.there())
    @rule()
    def upgrade(self) -> None:
        """What is there becomes of a version with other numerics, as if fdi were a new one."""
        for path in self.folders():
            run = record.look(path)
            if run.evidence and run.evidence["numerics"] == NUMERICS:
                record.change(path, evidence=run.evidence | {"numerics": NUMERICS - 1})
                if self.name(path) in self.cells:
                    cell = self.cells[self.name(path)]
                    self.cells[self.name(path)] = cell._replace(numerics=NUMERICS - 1)
        self.count("upgrade")

    @precondition(lambda self: set(self.there()) - self.whole.keys())
    @rule(which=st.integers(0, 99), in_place=st.booleans())
    def edit_a_record(self, which: int, in_place: bool) -> None:
        """A digit of its accuracy."""
        names = [name for name in self.there() if name not in self.whole]
        name = names[which % len(names)]
        text = (self.results / name / RUN).read_text()
        at = text.index('"test_accuracy_last": ') + len('"test_accuracy_last": ')
        other = "1" if text[at] == "0" else "0"
        self.whole[name] = text.encode()
        overwrite(self.results / name / RUN, text[:at] + other + text[at + 1 :], in_place)
        self.count("edit a record")

    @precondition(lambda self: self.whole)
    @rule()
    def put_the_edited_records_back(self) -> None:
        for name, content in self.whole.items():
            if (self.results / name / RUN).exists():
                (self.results / name / RUN).write_bytes(content)
        self.whole.clear()
        self.count("put back")

    @precondition(lambda self: self.there())
    @rule(which=st.integers(0, 99), note=st.text("ab\n", max_size=4))
    def write_a_note(self, which: int, note: str) -> None:
        name = self.there()[which % len(self.there())]
        edit(self.results / name, "note", note)
        self.count("write a note")

    @precondition(lambda self: self.folders())
    @rule(which=st.integers(0, 99), name=st.sampled_from(FILES))
    def delete_a_file(self, which: int, name: str) -> None:
        path = self.folders()[which % len(self.folders())]
        (path / name).unlink(missing_ok=True)
        if name == RUN:
            self.whole.pop(self.name(path), None)
        self.count("delete a file")

    @precondition(lambda self: self.folders())
    @rule(which=st.integers(0, 99))
    def delete_a_folder(self, which: int) -> None:
        path = self.folders()[which % len(self.folders())]
        shutil.rmtree(path)
        self.cells.pop(self.name(path), None)
        self.whole.pop(self.name(path), None)
        self.count("delete a folder")

    @precondition(lambda self: self.folders())
    @rule()
    def bring_all_back_from_a_backup(self) -> None:
        shutil.copytree(self.results, self.home / "backup")
        shutil.rmtree(self.results)
        (self.home / "backup").rename(self.results)
        self.count("copy all")

    @precondition(lambda self: self.folders())
    @rule(which=st.integers(0, 99), new=st.sampled_from(("kept", "seed", "init")))
    def copy_a_run(self, which: int, new: str) -> None:
        """Beside itself, or to the name of another seed, or of another initialization."""
        path = self.folders()[which % len(self.folders())]
        other = INITS[1 - INITS.index(path.parent.name)]
        places = {
            "kept": path.with_name(f"{path.name}_kept"),
            "seed": path.with_name(f"seed=7-{path.name.rpartition('-')[2]}"),
            "init": path.parents[1] / other / path.name,
        }
        if not places[new].exists():
            shutil.copytree(path, places[new])
            if self.name(path) in self.cells:
                self.cells[self.name(places[new])] = self.cells[self.name(path)]
            if self.name(path) in self.whole:
                self.whole[self.name(places[new])] = self.whole[self.name(path)]
        self.count("copy a run")

    @precondition(lambda self: self.folders())
    @rule(how=st.sampled_from(("csv", "full", "plain", "markdown", "runs", "status")))
    def look(self, how: str) -> None:
        getattr(self, f"look_at_{how}")()
        self.count(how)

    def look_at_csv(self, *more: str) -> None:
        expected = self.rows()
        code, out, err = said(table.main, *more, "--csv", "--results", str(self.results))
        if not expected:
            return
        assert code == 0, err
        printed = pd.read_csv(io.StringIO(out))
        printed = printed[printed["n"] > 0]
        for name in ("versus", "versus_n"):
            printed[name] = printed[name].fillna(0.0)
        columns = ["init", "n", *COMPARED, "versus", "versus_n"]
        found = sorted(printed.reindex(columns=columns).itertuples(index=False, name=None))
        assert len(found) == len(expected), f"{out}\n{expected}"
        for one, other in zip(found, expected):
            assert one[0] == other[0], f"{out}\n{expected}"
            assert np.allclose(one[1:], other[1:]), f"{out}\n{expected}"

    def look_at_full(self) -> None:
        self.look_at_csv("--full")

    def look_at_plain(self, *more: str) -> None:
        expected = self.rows()
        code, out, err = said(table.main, *more, "--results", str(self.results))
        if expected:
            assert code == 0, err
        for _, _, accuracy, *_ in expected:
            assert f"{100 * accuracy:.1f}" in out, f"{accuracy}\n{out}"

    def look_at_markdown(self) -> None:
        self.look_at_plain("--markdown")

    def look_at_runs(self) -> None:
        file = self.home / "all.csv"
        code, _, err = said(table.main, "--runs", str(file), "--results", str(self.results))
        assert code == 0, err
        written = pd.read_csv(file)
        done = written[written["state"] == "done"]
        paths = done["path"].astype(str).str.removeprefix(f"{self.results}/")
        there = {p: result(self.results / p)["test_accuracy_last"] for p in self.shown()}
        assert dict(zip(paths, done["test_accuracy_last"])) == pytest.approx(there)

    def look_at_status(self) -> None:
        code, out, err = said(status.main, "--results", str(self.results))
        assert code == 0, err
        assert "Traceback" not in out + err

    # what there is

    def count(self, what: str) -> None:
        self.steps[what] += 1

    def name(self, path: Path) -> str:
        return path.relative_to(self.results).as_posix()

    def folders(self) -> list[Path]:
        return sorted(self.results.glob("runs/*/*/*/seed=*"))

    def there(self) -> list[str]:
        """The folders with a result."""
        return [self.name(path) for path in self.folders() if result(path)]

    def contents(self) -> dict[str, bytes]:
        return {name: (self.results / name / RUN).read_bytes() for name in self.there()}

    def shown(self) -> dict[str, Cell]:
        """What tables know: records that nobody edited, in the folders of their runs."""
        return {
            name: self.cells[name]
            for name in self.there()
            if name in self.cells and name not in self.whole and _is_at_home(self.cells[name], name)
        }

    def rows(self) -> list[tuple[Any, ...]]:
        """Those of `fdi-table --csv`: init, n, COMPARED, the difference to kaiming, its pairs."""
        groups: dict[tuple[str, Cell], dict[int, list[list[float]]]]
        groups = defaultdict(lambda: defaultdict(list))
        for name, cell in self.shown().items():
            of = result(self.results / name)
            found = [of["test_accuracy_last"], of["test_accuracy_best"], of["valid_accuracy_last"]]
            key = name.split("/")[-2], cell._replace(seed=0)
            groups[key][cell.seed].append([*found, of["rates"]["h1"]])
        means = {
            key: {seed: np.mean(found, axis=0) for seed, found in by_seed.items()}
            for key, by_seed in groups.items()
        }
        expected = []
        for (label, cell), by_seed in means.items():
            base = means.get(("kaiming", cell._replace(init="kaiming", code=None)), {})
            pairs = [s for s in by_seed if s in base] if label != "kaiming" else []
            versus = np.mean([by_seed[s][0] - base[s][0] for s in pairs]) if pairs else 0.0
            values = np.mean(list(by_seed.values()), axis=0)
            expected.append((label, len(by_seed), *map(float, values), versus, len(pairs)))
        return sorted(expected)

    def alone(self, cell: Cell) -> dict[str, Any]:
        """The numbers of the same run in a folder of its own, by nobody disturbed."""
        if cell not in self.fresh:
            home = self.zygote.home()
            furnish(home, cell.data, cell.code or 0)
            given = (f"init={cell.init}", f"trainer.epochs={cell.epochs}", f"seed={cell.seed}")
            words = (*SMALL, *given, f"optimizer.eps={cell.eps}")
            end = self.zygote.run(home, *words)
            assert end.code == 0, end.err
            (path,) = home.glob("results/runs/*/*/*/seed=*")
            self.fresh[cell] = numbers(path)
            shutil.rmtree(home.parent)
        return self.fresh[cell]


def _is_at_home(cell: Cell, place: str) -> bool:
    *_, label, run = place.split("/")
    return run.startswith(f"seed={cell.seed}-") and label == cell.init and "_" not in run


def result(directory: Path) -> dict[str, Any]:
    """Of a record, whole or edited; empty without one."""
    content = parse_json(directory / RUN)
    return (content or {}).get("result") or {}


def packed(version: int) -> bytes:
    """Spikes of two classes."""
    rng = np.random.default_rng(version)
    y = np.arange(40) % 2
    x = (rng.random((40, 12, 6)) < 0.2 + 0.2 * y[:, None, None]).astype(np.int64)
    file = io.BytesIO()
    np.savez(file, x=x, y=y)
    return file.getvalue()


def own(version: int, age: int) -> str:
    return OWN.format(comment=f"{age:04d}", gain=(1.5, 2.5)[version])


def furnish(home: Path, data: int, code: int) -> None:
    (home / "data.npz").write_bytes(packed(data))
    (home / "own_code.py").write_text(own(code, 0))
    (home / "conf" / "init").mkdir(parents=True)
    (home / "conf" / "init" / "mine.yaml").write_text("_target_: own_code.Mine\n")


def overwrite(path: Path, content: bytes | str, in_place: bool) -> None:
    """As an editor does, or within the file, with the size and the time that it had."""
    content = content.encode() if isinstance(content, str) else content
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


def said(main: Any, *words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    return code, out.getvalue(), err.getvalue()


def machine(zygote: Any) -> type[AnyOrder]:
    return type("Machine", (AnyOrder,), {"zygote": zygote, "fresh": {}, "steps": Counter()})


def played(kind: type[AnyOrder], games: int, steps: int, **how: Any) -> None:
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=games,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **how,
        ),
    )


@pytest.mark.slow
def test_a_game_that_found_much(zygote):
    usual, without = (1e-16, ()), (1e-16, ("~optimizer.eps",))
    game: Any = machine(zygote)()
    game.start()
    game.run("kaiming", 2, usual, 0, None)
    game.run("mine", 2, without, 0, None)
    game.look("csv")
    game.upgrade()
    game.run_again(None, 0)
    game.run_the_other_seed()
    game.look("csv")
    game.edit_a_record(0, True)
    game.copy_a_run(0, "seed")
    game.look("csv")
    game.teardown()


def test_a_short_game(zygote):
    kind = machine(zygote)
    played(kind, games=3, steps=12, derandomize=True, database=None)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_long_game(zygote):
    end = time.monotonic() + 60 * float(os.environ.get("FDI_TEST_MINUTES", "10"))
    kind = machine(zygote)
    while time.monotonic() < end:
        played(kind, games=10, steps=40, database=None, phases=[Phase.generate])
        print(f"{sum(kind.steps.values())} steps, {len(kind.fresh)} fresh runs: {kind.steps}")
