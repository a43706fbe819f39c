"""`fdi-figures`: draws what the results hold, and says how to make what is missing."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from importlib import import_module
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from fdi.cli.command import add_results, command_line
from fdi.track.files import printable
from fdi.track.state import end_with

CHECKOUT = (
    "figures of the measurements that come with fdi need results/reference of a checkout: "
    "fdi-figures --results CHECKOUT/results"
)


@command_line("fdi-figures")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code: 0 if something was drawn."""
    arguments = _parse(argv)
    from fdi.figures.catalogue import FIGURES

    if arguments.list:
        for name, module in FIGURES.items():
            print(f"{name}: {module.ABOUT}\n  needs {module.NEEDS}: {module.COMMAND}")
        return 0
    if arguments.run:
        return _snapshot(arguments.names, arguments.run, arguments.modules, arguments.out)
    from fdi.analysis.metrics import each_once

    with each_once():
        return _draw_all(arguments)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "fdi-figures", description="Draws figures of finished runs as PDF and PNG; it never trains."
    )
    parser.add_argument("names", nargs="*", metavar="name", help="figures to draw (default: all)")
    parser.add_argument("--list", action="store_true", help="list the figures")
    add_results(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results/figures"),
        help="folder for the figures (default: results/figures)",
    )
    parser.add_argument(
        "--own",
        action="store_true",
        help="draw your own runs only, not the measurements that come with fdi",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        help="for snapshot: show a test sample of the trained run in FOLDER",
    )
    parser.add_argument(
        "--modules",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder with files of yours: the figure NAME in NAME.py, or of the experiment in "
        "experiment/NAME.yaml, or the model of --run; may be repeated",
    )
    return parser.parse_args(argv)


def _snapshot(names: Sequence[str], directory: Path, modules: Sequence[Path], out: Path) -> int:
    """One trial through the network of a trained run; its code may be in `modules`."""
    if list(names) != ["snapshot"]:
        raise ValueError("--run belongs to one figure: fdi-figures snapshot --run FOLDER")
    from fdi.figures.catalogue import FIGURES, draw, file_name
    from fdi.runner import trained  # torch: only where it is used

    page = trained.trial(trained.load(directory, modules=modules))
    for file in draw(FIGURES["snapshot"], page, out / file_name("snapshot", directory.name)):
        print(file)
    return 0


def _draw_all(arguments: argparse.Namespace) -> int:
    from fdi.analysis.conditions import UNTRAINED
    from fdi.analysis.index import index
    from fdi.analysis.metrics import each_once
    from fdi.analysis.render import EXAMPLE
    from fdi.analysis.results import own, reference
    from fdi.analysis.summary import summarize
    from fdi.cli.summary import print_comparison
    from fdi.config.parts import choose
    from fdi.figures.catalogue import file_name, own_figure, pages, with_own
    from fdi.figures.unchanged import origin, remember, unchanged

    results, out, only_own = arguments.results, arguments.out, arguments.own
    mine, measured = own(results), cache(partial(reference, results / "reference"))
    there = with_own(mine.runs, arguments.modules)
    figures: dict[str, Any] = {name: there.get(name) for name in arguments.names or there}
    for name in figures.keys() - there.keys():
        figures[name] = own_figure(name, arguments.modules)
        if figures[name] is None:
            print(f"fdi-figures: no figure {name}; {choose(name, there)}", file=sys.stderr)
            return 2
    known = origin(results, out, only_own, *there.values())
    with index(results) as kept:
        before = {name: unchanged(kept, name, known) for name in figures if name in there}
    damaged: dict[str, dict[str, None]] = {}

    def tasks() -> Iterator[Task]:
        for name, module in figures.items():
            if (files := before.get(name)) is not None:
                yield Task(name, there=files)
                continue
            with each_once() as damaged[name]:
                contents = module.data(mine) if only_own else pages(module, mine, measured())
            for page, content in contents.items():
                yield Task(name, module, content, out / file_name(name, page))

    done: dict[str, list[Path]] = {}
    for task, files in _drawn(tasks()):
        done.setdefault(task.name, []).extend(files)
        for file in files:
            print(printable(str(file)), flush=True)
    missing = [name for name in figures if not done.get(name)]
    with index(results) as kept:
        for name in before.keys() & damaged.keys():
            remember(kept, name, known, done.get(name, []), damaged[name])
    if not mine.runs["state"].isin(UNTRAINED).all():
        print_comparison(mine.runs, summarize(mine.runs))
    if missing and not only_own and measured().runs.empty:
        print(CHECKOUT)
    if len(missing) == len(figures) and mine.runs.empty and measured().runs.empty:
        raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
    if not arguments.names and len(missing) < len(figures):
        print(f"{len(missing)} other figures need other runs; fdi-figures --list says which")
        return 0
    for name in missing:
        print(f"not drawn: {name} needs {figures[name].NEEDS}: {figures[name].COMMAND}")
    return int(len(missing) == len(figures))


class Task(NamedTuple):
    """A page to draw, or the files of a figure that are `there` and would be the same."""

    name: str
    module: Any = None
    content: Any = None
    path: Path = Path()
    there: list[Path] | None = None


FEW = 6  # pages: fewer are drawn before other processes have begun


def _drawn(tasks: Iterator[Task]) -> Iterator[tuple[Task, list[Path]]]:
    """Each task with its files, in this order; many pages are drawn by as many processes as there
    are cores, while the content of the next ones is made here.
    """
    from fdi.cli.cost import cores  # Hydra, which --help does without

    first, pages = [], 0
    for task in tasks:
        first.append(task)
        pages += task.there is None
        if pages == FEW:
            break
    every = chain(first, tasks)
    if pages < FEW or cores() < 2:
        yield from ((task, _draw(task)) for task in every)
        return
    pool = ProcessPoolExecutor(cores(), get_context("spawn"), _begin, (os.getpid(),))
    ahead: deque[tuple[Task, Future[list[Path]]]] = deque()
    try:
        for task in every:
            ahead.append((task, _given(pool, task)))
            while ahead and ahead[0][1].done():
                task, files = ahead.popleft()
                yield task, files.result()
        for task, files in ahead:
            yield task, files.result()
    except BrokenProcessPool:
        raise OSError("a process that drew pages was killed, perhaps for its memory") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _given(pool: ProcessPoolExecutor, task: Task) -> Future[list[Path]]:
    """The files of a task once they are there; a figure in a file of the user's own is drawn here,
    since no other process can import it.
    """
    module = task.module
    known = not isinstance(module, ModuleType) or sys.modules.get(module.__name__) is module
    if task.there is None and known:
        name = module.__name__ if isinstance(module, ModuleType) else module
        return pool.submit(_draw, task._replace(module=name))
    here: Future[list[Path]] = Future()
    here.set_result(_draw(task))
    return here


def _draw(task: Task) -> list[Path]:
    from fdi.figures.catalogue import draw

    if task.there is not None:
        return task.there
    module = import_module(task.module) if isinstance(task.module, str) else task.module
    return draw(module, task.content, task.path)


def _begin(parent: int) -> None:
    """A process that draws finishes its page when the command is interrupted, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
