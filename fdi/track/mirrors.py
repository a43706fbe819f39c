"""Copies of the numbers of a run elsewhere; csv and json files stay the truth. What a logger needs
is imported in its function only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fdi.config.identity import run_id

MISSING = "logger={0} needs the package {0}: pip install 'fdi-snn[{0}]'"


Log = Callable[[dict[str, Any], int], None]
"""What a logger yields: it takes values, of which some may be no numbers, and the epoch after which
they are true.
"""


@dataclass(frozen=True)
class Mirror:
    """All that the open loggers of a run are told."""

    logs: Sequence[Log]

    def log(self, values: dict[str, Any], epoch: int) -> None:
        for log in self.logs:
            log(values, epoch)

    def probe(self, rows: list[dict[str, Any]]) -> None:
        """The initial state, see fdi.init.probe."""
        for row in rows:
            rest = {key: value for key, value in row.items() if key != "population"}
            self.log({f"init/{key}/{row['population']}": rest[key] for key in rest}, 0)

    def row(self, row: dict[str, Any]) -> None:
        """One epoch of the learning curves."""
        self.log(row, row["epoch"])

    def result(self, result: dict[str, Any]) -> None:
        """The final numbers, after the last epoch."""
        self.log({f"result/{key}": value for key, value in result.items()}, result["epochs"])


@contextmanager
def wandb(
    config: dict[str, Any],
    directory: Path,
    epoch: int,
    *,
    project: str = "fdi",
    entity: str | None = None,
    mode: Literal["offline", "online", "disabled", "shared"] = "offline",
    group: str | None = None,
    tags: Sequence[str] = (),
) -> Iterator[Log]:
    """Open the run of Weights & Biases with the id of the directory, so that a resumed run goes on
    in its curves; it is closed however the block ends.

    `group`: null for one group per configuration, with the seeds as its members. Raises ValueError
    if wandb is missing or refuses.
    """
    if mode in ("offline", "disabled"):  # else wandb reports its own errors to its makers
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb
    except ImportError:
        raise ValueError(MISSING.format("wandb")) from None
    seed, _, identity = directory.name.rpartition("-")
    labels = [config["name"][key] for key in ("dataset", "model", "init", "experiment")]
    try:
        run = wandb.init(
            project=project,
            entity=entity,
            mode=mode,
            id=identity,
            resume="allow",
            name=f"{'/'.join(labels[:3])}/{seed}",
            group=group or f"{'/'.join(labels[:3])}/{run_id({**config, 'seed': 0})[:8]}",
            tags=[*filter(None, labels), *tags, *config.get("tags", ())],
            notes=config.get("note"),
            config=config,
            dir=directory,
            settings=wandb.Settings(silent=True, console="off"),
        )
    except wandb.Error as error:
        raise ValueError(
            f"logger=wandb: {error}; without an account: logger.wandb.mode=offline"
        ) from None
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    try:
        yield lambda values, epoch: run.log(values | {"epoch": epoch})
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


@contextmanager
def tensorboard(config: dict[str, Any], directory: Path, epoch: int) -> Iterator[Log]:
    """Write to `directory`/tensorboard; what is there of epochs after `epoch` is void. Raises
    ValueError if tensorboard is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(MISSING.format("tensorboard")) from None
    with SummaryWriter(directory / "tensorboard", purge_step=epoch + 1) as writer:

        def log(values: dict[str, Any], step: int) -> None:
            for key, value in values.items():
                if isinstance(value, int | float):
                    writer.add_scalar(key, value, step)
            writer.flush()

        yield log
