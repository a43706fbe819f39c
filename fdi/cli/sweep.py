"""A sweep: hands what is left of its cells to the launcher that `hydra/launcher` chooses, shows how
they go on, and says what became of all of them.
"""

from __future__ import annotations

import os
import shlex
import time
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from fdi.cli.cells import Cell, compose_sweep, label, leave_nothing, make_folder, varied
from fdi.cli.compose import composed, extra_of, interpolating, is_hydras, source
from fdi.cli.cost import cores, short
from fdi.cli.summary import print_summary
from fdi.cli.task import FAILED, complain, revisit, run_cell
from fdi.cli.terminal import bar, console, duration
from fdi.config.cache import stamp
from fdi.config.metric import of_result
from fdi.config.settings import settings
from fdi.track import evidence, plans
from fdi.track.files import RUN
from fdi.track.process import end_with, repeating
from fdi.track.record import REFUSED, SETTLED, Run, finished, look, place

PAUSE = 0.5  # s between two looks, longer where a look takes long


def check_gpus(used: Collection[str], launcher: DictConfig) -> None:
    """Cells on the devices `used` need a GPU: a `launcher` of this machine runs them on the same
    one, one at a time unless n_jobs says more. Raises ValueError for one that would give them none.
    """
    if not any(device.startswith("cuda") for device in used):
        return
    if "n_jobs" in launcher:
        launcher.n_jobs = max(1, launcher.n_jobs)
    if launcher._target_.endswith(".LocalLauncher"):
        raise ValueError(
            "hydra/launcher=isolated hides the GPUs from its cells; take hydra/launcher=local"
        )
    if "ray" in launcher and not launcher.ray.remote.get("num_gpus"):
        raise ValueError(
            "hydra.launcher.ray.remote.num_gpus = 0: Ray would hide the GPUs from cells with "
            "device=cuda; give 1, or 0.25 for four cells on one"
        )
    asked = ("gpus_per_node", "gpus_per_task", "gres", "additional_parameters")
    if launcher._target_.endswith(".SlurmLauncher") and not any(map(launcher.get, asked)):
        raise ValueError(
            "hydra.launcher.gpus_per_node = null: the jobs of cells with device=cuda would have no "
            "GPU; give hydra.launcher.gpus_per_node=1"
        )


def launch(
    arguments: Namespace,
    cells: list[Cell],
    ready: Callable[[], Any] = lambda: None,
) -> None:
    """Run the cells, hydra.sweeper.max_batch_size at a time, once the launcher is found and `ready`
    called; returns when all are through. hydra/launcher=basic, one after another here, needs no job
    of Hydra's, which costs as much as a short run; nor do a few short cells that may have as many
    processes as there are cores.

    Raises what the launcher raises when it loses a worker, what a cell raises, and ValueError for a
    launcher that cannot start.
    """
    config = compose_sweep(arguments)
    node = config.hydra.launcher
    with read_write(config), open_dict(config):
        check_gpus({cell.values["device"] for cell in cells}, node)
    if node._target_.endswith(".BasicLauncher") or (node.get("n_jobs") == -1 and short(cells)):
        ready()
        for cell in cells:
            run_cell(cell, sweep=True)
        return
    here = node._target_.endswith(".LocalLauncher")
    job: Any = partial(_job, os.getcwd(), os.getpid() if here else None)
    loader: Any = _Compose(source(arguments), tuple(filter(is_hydras, arguments.overrides)))
    callbacks: Any = _Brief()
    with interpolating(config):
        try:
            context = HydraContext(loader, callbacks)
            launcher: Any = Plugins.instance().instantiate_launcher(context, job, config)
            if "n_jobs" in node:
                import_module("joblib")  # the plugin imports it late
                launcher.joblib |= {"initializer": end_with, "initargs": (os.getpid(),)}
        except (RuntimeError, ModuleNotFoundError):  # its file is here, the plugin or joblib is not
            extra = extra_of(node._target_)
            raise ValueError(f"{node._target_} is not installed{extra}") from None
        ready()
        threads, together = _room(node)
        given = [_with_room(cell, threads) for cell in cells]
        size = config.hydra.sweeper.get("max_batch_size") or together or len(cells)
        for start in range(0, len(cells), size):
            for done in launcher.launch(given[start : start + size], start):
                _ = done.return_value  # raises what went wrong


class _Brief(Callback):
    """Leaves the configurations out of what a launcher returns, 0.15 MB a cell."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        job_return.cfg = job_return.hydra_cfg = job_return.overrides = None


class _Compose(NamedTuple):
    """What launchers take of Hydra's ConfigLoader: the configuration of a cell, with the words of
    the command that are Hydra's own.
    """

    source: str
    hydras: tuple[str, ...]

    def load_sweep_config(self, master: DictConfig, words: list[str]) -> DictConfig:
        config = composed(self.source, (*self.hydras, *words))
        config.hydra.overrides.task = words
        return config


def _job(folder: str, parent: int | None, config: DictConfig) -> int:
    """A cell in a process of the launcher's: in the folder of the command, to which its paths are
    relative, and no longer than `parent` lives.
    """
    os.chdir(folder)
    if parent:
        end_with(parent)
    words, values = tuple(HydraConfig.get().overrides.task), settings(config)
    return run_cell(Cell(words, values, place(values)), sweep=True)


def _room(launcher: DictConfig) -> tuple[int | None, int | None]:
    """CPU threads of one cell, None where one cell runs at a time; and how many may start together,
    None where the launcher knows: the local executor of submitit starts all that it gets.
    """
    if "n_jobs" in launcher:
        return 1 if launcher.n_jobs < 0 else max(1, cores() // launcher.n_jobs), None
    if "ray" in launcher:
        return max(1, int(launcher.ray.remote.get("num_cpus", 1))), None
    threads = launcher.get("cpus_per_task")
    here = launcher._target_.endswith(".LocalLauncher")
    return threads, max(1, cores() // (threads or 1)) if here else None


def _with_room(cell: Cell, threads: int | None) -> list[str]:
    """Those of a cell, with its `threads` unless they are given, and the device that auto became
    here.
    """
    words = [*cell.overrides]
    if threads is not None and cell.values["threads"] is None:
        words.append(f"threads={threads}")
    if "device=auto" in words:
        words.append(f"device={cell.values['device']}")
    return words


class Watch:
    """The cells of a sweep that have not ended yet."""

    def __init__(self, cells: list[Cell], left: list[Cell], out: Any | None) -> None:
        self.total, self.left, self.out = len(cells), list(left), out
        self.keys = varied(cell.overrides for cell in cells)
        self.started, self.ended, self.first = time.monotonic(), 0, self.total - len(left)
        self.before = {cell.directory: stamp(str(cell.directory / RUN)) for cell in left}

    def look(self) -> str:
        """A line for each cell that has ended since the last look; returns what runs now."""
        running, left, begun = [], [], 0.0
        for cell in self.left:
            run = look(cell.directory) if cell.directory.exists() else Run()
            if run.state == "running":
                running.append(f"{run.epoch}/{run.epochs or '?'}")
                begun += run.epoch / (run.epochs or 1)
            new = stamp(str(cell.directory / RUN)) != self.before[cell.directory]
            if new and run.state in SETTLED:
                self.ended += 1
                if self.out:
                    self.out.print(self._line(cell, run))
            else:
                left.append(cell)
        self.left = left
        return f"epoch {', '.join(running)}{self._time_left(begun)}" if running else ""

    def _line(self, cell: Cell, run: Run) -> str:
        words = f"cell {self.first + self.ended}/{self.total}  {label(cell, self.keys)}"
        if run.state in ("failed", REFUSED):
            return f"{words}  {run.state}: {run.reason}"
        what = "probed" if run.state == "probed" else _accuracy(run.result or {})
        took = f" {duration(run.result['seconds'])}" if run.result else ""
        return f"{words}  {what}{took}{self._time_left()}"

    def _time_left(self, begun: float = 0.0) -> str:
        """By the cells that ended so far and how many, in shares of one, have `begun`."""
        waiting = self.total - self.first - self.ended - begun
        done = self.ended + begun
        if not waiting or not done:
            return ""
        return f", {duration((time.monotonic() - self.started) / done * waiting)} left"


def _accuracy(result: dict[str, Any]) -> str:
    metric = of_result(result)
    test, valid = (result.get(metric.key(f"{split}_accuracy_last")) for split in ("test", "valid"))
    if test is not None:
        return metric.text(test)
    return "done" if valid is None else f"{metric.text(valid)} on validation"


@contextmanager
def watching(cells: list[Cell], left: list[Cell], title: str = "") -> Iterator[None]:
    """Show what becomes of the cells that are `left` while the block runs: in one line that moves
    where there is a `title`.
    """
    out = console()
    columns = (TextColumn(title or "cell"), MofNCompleteColumn(), BarColumn(bar_width=24))
    watch = Watch(cells, left, None if title else out)
    with bar(out, *columns, TextColumn("{task.description}"), transient=True) as shown:
        task = shown.add_task("", total=watch.total, completed=watch.first)

        def look() -> None:
            now = watch.look()
            shown.update(task, completed=watch.first + watch.ended, description=now)

        try:
            with repeating(look, "watch", PAUSE, rest=20):
                yield
        finally:
            look()


def run_sweep(
    arguments: Namespace,
    cells: list[Cell],
    refused: set[Path] | None = None,
    title: str = "",
) -> int:
    """Run the cells that are not finished, and say what became of all of them, also where that is
    interrupted; returns the exit code. Of trials `refused` gets those that are, which are no
    failure then, and no table is shown; where they have a `title`, just what went wrong.
    """
    done = [cell for cell in cells if finished(cell.directory, cell.values["probe"])]
    new = [cell for cell in cells if not cell.directory.exists()]
    _say_what_is_done(cells, done, not title)
    stopped, results = None, Path(cells[0].values["paths"]["results"])
    make_folder(cells[0])
    write = partial(plans.write_plan, results, plan := plan_of(arguments, cells))
    try:
        _launch_again(arguments, cells, write, title)
        write()  # where nothing was left
    except KeyboardInterrupt as error:
        stopped = error
    except ValueError:  # of Hydra, which has made folders
        for cell in new:
            leave_nothing(cell)
        raise
    unfinished = print_summary(cells, plan.command if refused is None else "", not title)
    for cell in new:
        if trial_refused := refused is not None and look(cell.directory).state == REFUSED:
            refused.add(cell.directory)
            unfinished -= 1
        if trial_refused or stopped:
            leave_nothing(cell)
    if stopped:
        raise stopped
    return FAILED if unfinished else 0


def plan_of(arguments: Namespace, cells: Sequence[Cell]) -> plans.SweepPlan:
    """The plan of the cells of a sweep."""
    folder = arguments.config_dir
    options = ["--config-dir", folder] if folder else []
    first = cells[0].values
    return plans.SweepPlan(
        command=shlex.join(["fdi-run", "-m", *options, *arguments.overrides]),
        experiment=first["name"]["experiment"],
        cells={
            os.path.relpath(c.directory, first["paths"]["results"]): [*c.overrides] for c in cells
        },
    )


def _say_what_is_done(cells: Sequence[Cell], done: Sequence[Cell], how_many: bool) -> None:
    """Say which cells are done already. Raises ValueError if their data or code are others now."""
    known = cache(lambda texts: evidence.fingerprint(dict(texts)))

    def fingerprint(dataset: Mapping[str, Any]) -> str | None:
        return known(frozenset(item for item in dataset.items() if isinstance(item[1], str)))

    older = [revisit(cell.config, cell.directory, fingerprint) for cell in done]
    if done and how_many:
        print(f"{len(done)} of {len(cells)} already done, skipped")
    for line in filter(None, older):
        print(line)


def _launch_again(
    arguments: Namespace, cells: list[Cell], ready: Callable[[], None], title: str
) -> None:
    """Launch what is left, once the launcher is `ready`, and again where it gives up because it
    lost a worker: as long as that brings some cell further, and once where it does not.
    """
    before, again = None, True
    while left := [cell for cell in cells if not finished(cell.directory, cell.values["probe"])]:
        runs = [look(cell.directory) for cell in left]
        now = [(cell.directory, run.state, run.epoch) for cell, run in zip(left, runs)]
        if now == before and not again:
            return
        again = now != before
        if before:
            print("starting the remaining cells again", flush=True)
        before = now
        try:
            with watching(cells, left, title):
                launch(arguments, left, ready)
                return
        except ValueError:
            raise
        except Exception as error:
            complain(f"{type(error).__name__}: {str(error).partition('. ')[0]}", FAILED)
