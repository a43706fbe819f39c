"""What is done for a cell, here or in a process of a launcher's choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fdi.cli import command
from fdi.cli.cells import Cell
from fdi.cli.command import FAILED, REFUSED
from fdi.config import Mistake
from fdi.config.metric import of_result
from fdi.track import evidence, record
from fdi.track.evidence import fingerprint
from fdi.track.files import LOG, OUTPUT, PROBE, printable
from fdi.track.process import Busy
from fdi.track.record import finished, initial_state

Fingerprint = Callable[[Mapping[str, Any]], str | None]
complain = partial(command.complain, "fdi-run")


def run_cell(cell: Cell, sweep: bool = False) -> int:
    """Run one cell, unless it is done. Returns the exit code. A failure is printed as one line; its
    traceback is in run.log.

    In a sweep, which says itself what is done, whatever the cell prints goes to its own output.log,
    and the sweep prints what its record says of a failure.
    """
    directory = cell.directory
    if finished(directory, cell.values["probe"]):
        return 0 if sweep else _again(cell.config, directory)
    if not sweep:
        line, code = _attempt(cell)
        return complain(line, code) if code else code
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / OUTPUT).open("a") as file, redirect_stdout(file):
        line, code = _attempt(cell)
    told = record.look(directory).state in ("failed", record.REFUSED, "broken")  # by the sweep
    return complain(line, code) if code and not told else code


def _again(config: DictConfig, directory: Path) -> int:
    if line := revisit(config, directory):
        print(line)
    if config.probe != "only":
        print(f"{printable(str(directory))}: already done, skipped")
        return 0
    from fdi.cli.terminal import Terminal
    from fdi.runner.build import training_words

    name = config.name
    Terminal().probe(measured_state(directory), name.model, name.init, training_words(config))
    return 0


def measured_state(directory: Path) -> list[dict[str, Any]]:
    """The initial state of a finished run; raises ValueError where it was not measured."""
    run = record.look(directory)
    if rows := initial_state(directory, run):
        return rows
    if PROBE in run.files:
        raise Mistake(f"{directory / PROBE} was changed since the run ended; put it back")
    raise ValueError(
        f"{directory} was trained with probe=none; move it away to measure its initial state"
    )


def revisit(config: DictConfig, directory: Path, files: Fingerprint = fingerprint) -> str | None:
    """As fdi.track.evidence.check_done, for the run of this directory; tags and a note that are
    given are written into its record.
    """

    def split() -> str | None:
        from fdi.runner import build  # torch: only where files of the data have changed

        return build.dataset(config).checksum

    run = record.whole(directory)
    line = evidence.check_done(directory, run, config, split, files)
    said = [*dict.fromkeys([*run.tags, *config.tags])], config.note or run.note
    if run.ended and said != (run.tags, run.note):  # nobody else writes it any more
        record.change(directory, tags=said[0], note=said[1])
    return line


def _attempt(cell: Cell) -> tuple[str, int]:
    """Run a cell; returns what went wrong, in one line, and the exit code."""
    from fdi.cli.terminal import Terminal
    from fdi.runner.story import execute

    try:
        execute(cell.values, cell.directory, Terminal(), cell.overrides)
    except ValueError as error:
        return str(error), REFUSED
    except Busy as error:
        return str(error), FAILED
    except Exception as error:
        log = cell.directory / LOG
        where = f" (traceback in {log})" if log.exists() else ""
        return f"{type(error).__name__}: {error}{where}", FAILED
    return "", 0


def print_result(cell: Cell) -> None:
    """The numbers of one run, if it was trained to its end, and where to find it."""
    from fdi.cli.terminal import console

    out, result = console(), record.look(cell.directory).result
    if cell.values["probe"] != "only" and result:
        metric, (last, best) = of_result(result), record.tested(result)
        valid = result.get(metric.key("valid_accuracy_last"))
        told = "neither validated nor tested"
        if result[last] is not None:
            known = f"best on validation: {metric.text(result[best])}"
            told = f"test {metric.name} {metric.text(result[last])} "
            told += f"({known if valid is not None else 'no validation split'})"
        elif valid is not None:
            told = f"validation {metric.name} {metric.text(valid)} (not tested)"
        rates = ", ".join(f"{name} {rate:.1f}" for name, rate in result["rates"].items())
        out.print(f"{told}; rates (Hz): {rates}")
    out.print(cell.directory)
