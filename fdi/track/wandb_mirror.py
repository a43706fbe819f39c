"""A copy of a run at Weights & Biases; csv and json files stay the truth. wandb is imported only
here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from fdi.config.identity import run_id
from fdi.track.mirror import Mirror

MISSING = "logger=wandb needs the package wandb: pip install 'fdi-snn[wandb]'"


@contextmanager
def wandb_mirror(
    config: dict[str, Any],
    directory: Path,
    epoch: int,
    *,
    project: str = "fdi",
    entity: str | None = None,
    mode: Literal["offline", "online", "disabled", "shared"] = "offline",
    group: str | None = None,
    tags: Sequence[str] = (),
) -> Iterator[Mirror]:
    """Open the run with the id of its directory, so that a resumed run goes on in its curves; it is
    closed however the block ends.

    `group`: null for one group per configuration, with the seeds as its members. Raises ValueError
    if wandb is missing or refuses.
    """
    if mode in ("offline", "disabled"):  # else wandb reports its own errors to its makers
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb
    except ImportError:
        raise ValueError(MISSING) from None
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
            f"logger=wandb: {error}; without an account: logger.mirror.mode=offline"
        ) from None
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    try:
        yield Mirror(lambda values, step: run.log(values | {"epoch": step}))
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
