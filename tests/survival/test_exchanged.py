"""Every file belongs to its run: one of another run in its place changes no number, or a line names
what is wrong.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from making import SMALL, packed

import fdi
from fdi.analysis import results
from fdi.config import Mistake
from fdi.init import warm
from fdi.runner import training
from fdi.track import evidence, record
from fdi.track.files import CHECKPOINT, LOG, METRICS, PROBE, RUN

FILES = (RUN, METRICS, PROBE, CHECKPOINT, LOG)
WORDS: dict[str, Any] = {key: SMALL[key] for key in SMALL if not key.startswith("dataset.")} | {
    "dataset": "arrays",
    "dataset.file": "data.npz",
    "model.hidden": 5,
}
EPOCHS = 2, 4  # of a run that ends, and of one that is stopped
OTHERS = ("seed", "step", "data", "code", "epoch", "numerics")


class Stop(Exception):
    """A process that dies."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str, int], Path]:
    """The folder of a run that differs in `other`, finished or `stopped` after that epoch."""
    home = tmp_path_factory.mktemp("made")

    @functools.cache
    def run(other: str, stopped: int) -> Path:
        place = home / f"{other}{stopped}"
        place.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            Path("data.npz").write_bytes(packed(int(other == "data")))
            pretend(patch, other)
            epochs = EPOCHS[bool(stopped)] + (other == "epoch" and not stopped)
            given: Any = {"seed": {"seed": 1}, "step": {"optimizer.lr": 0.05}}.get(other, {})
            words = WORDS | given | {"trainer.epochs": epochs, "results": place / "results"}
            if not stopped:
                return fdi.run(**words).directory
            die_after(patch, stopped - (other == "epoch"))
            with pytest.raises(Stop):
                fdi.run(**words)
        (directory,) = (place / "results").glob("runs/*/*/*/seed=*")
        record.change(directory, state="running", error=None)
        return directory

    return run


def pretend(patch: pytest.MonkeyPatch, other: str) -> None:
    """Code or numerics are others, and so are numbers."""
    if other not in ("code", "numerics"):
        return
    draw = training.draw_weights

    def larger(network, *given, **more):
        draw(network, *given, **more)
        for projection in network.projections:
            projection.weight.data *= 1.5

    patch.setattr(training, "draw_weights", larger)
    if other == "code":
        patch.setattr(evidence, "code", lambda config: {"init": "0123abcd"})
    else:
        patch.setattr(evidence, "NUMERICS", 17)


def die_after(patch: pytest.MonkeyPatch, epoch: int) -> None:
    """The process has a checkpoint after each epoch, until this one."""
    save = training.save_checkpoint

    def dying(path, network, optimizer, progress, *more):
        if progress.epoch > epoch:
            raise Stop
        save(path, network, optimizer, progress, *more)

    patch.setattr(training, "SAVE_EVERY", 0.0)
    patch.setattr(training, "save_checkpoint", dying)


def asked(directory: Path, epochs: int, caplog: Any, capsys: Any) -> dict[str, tuple[Any, str]]:
    """What each reader finds of a run, or the line in place of it, and what is said beside."""
    home = directory.parents[4]
    words = WORDS | {"results": home}

    def table() -> Any:
        found = results.own(home)
        (row,) = found.runs.to_dict("records")
        shown = [str(row.get(key)) for key in ("test_accuracy_last", "test_loss_last", "data")]
        curve = [str(value) for value in results.read_curves(found.runs).get("train/loss", ())]
        return shown, curve, [str(value) for value in found.probe.get("sigma", ())]

    def load() -> Any:
        trained = fdi.load(directory)
        return listed(trained.network.weights()), list(trained.metrics["train/loss"])

    def taken() -> Any:
        return listed(warm._read(str(directory), warm.checksum_of(str(directory)), "last"))

    def again(longer: int = 0) -> Any:
        trained = fdi.run(**words | {"trainer.epochs": epochs + longer})
        result = {k: v for k, v in (trained.result or {}).items() if k != "seconds"}
        return result, list(trained.metrics["train/loss"]), listed(trained.network.weights())

    def more() -> Any:
        return again(1)

    said = {}
    for ask in (table, load, taken, *([more] if record.look(directory).ended else []), again):
        caplog.clear()
        capsys.readouterr()
        try:
            found = ask()
        except Mistake as error:
            found = str(error)
            assert len(found.splitlines()) == 1
        printed = "".join(capsys.readouterr().out.split())  # lines may be wrapped
        said[ask.__name__] = found, "\n".join([*caplog.messages, printed])
    return said


def listed(weights: Mapping[str, torch.Tensor]) -> dict[str, list[Any]]:
    return {name: weight.tolist() for name, weight in weights.items()}


def copied(directory: Path, to: Path) -> Path:
    home = directory.parents[4]
    shutil.copytree(home, to / "results")
    return to / "results" / directory.relative_to(home)


@pytest.fixture(scope="module")
def undisturbed() -> dict[int, Any]:
    """`stopped` -> what is asked of a run that is left alone."""
    return {}


FAST = {*product((RUN, METRICS, CHECKPOINT), set(OTHERS) - {"step"})}
FAST |= {(PROBE, "data"), (LOG, "seed")}
CASES = [
    pytest.param(*case, marks=[] if case in FAST else [pytest.mark.slow])
    for case in product(FILES, OTHERS)
]


@pytest.mark.parametrize("stopped", [0, 2], ids=["done", "stopped"])
@pytest.mark.parametrize(("file", "other"), CASES)
def test_a_file_of_another_run_changes_nothing_or_is_named(
    made, undisturbed, tmp_path, monkeypatch, caplog, capsys, file, other, stopped
):
    monkeypatch.chdir(tmp_path)
    Path("data.npz").write_bytes(packed(0))
    epochs = EPOCHS[bool(stopped)]
    if stopped not in undisturbed:
        own = copied(made("", stopped), tmp_path / "own")
        undisturbed[stopped] = asked(own, epochs, caplog, capsys)
    directory, foreign = copied(made("", stopped), tmp_path), made(other, stopped)
    if file == LOG:
        (directory / LOG).write_text("of another run")
    else:
        shutil.copyfile(foreign / file, directory / file)
    now = record.look(directory).evidence
    labelled = file == RUN and now != record.look(made("", stopped)).evidence
    for ask, (found, beside) in asked(directory, epochs, caplog, capsys).items():
        right, _ = undisturbed[stopped][ask]
        if found == right:
            continue
        assert file != LOG
        if isinstance(found, str):
            assert directory.name in found, ask
            continue
        assert directory.name in beside, f"{ask} says nothing: {found}, undisturbed {right}"
        assert ask == "table", f"{ask}: {found}, undisturbed {right}"
        assert labelled or file == RUN or found[0] == right[0]
        assert all(one in ([], other) for one, other in zip(found[1:], right[1:])) or labelled
