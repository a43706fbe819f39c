"""The data of a run: whether they are those of before, and on which device they lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from fdi.data.dataset import Split
from fdi.engine.cuda import CudaEngine
from fdi.runner import build
from fdi.runner.context import RunContext
from fdi.track.origin import refuse_other_data, unchanged


def check_data(config: DictConfig, directory: Path) -> None:
    """Raises ValueError if the data are not those of the finished run in `directory`. They are read
    only if their files have changed since.
    """
    if not unchanged(config.dataset, directory):
        checksum = build.dataset(config).checksum
        refuse_other_data(directory, config.dataset, checksum)


def splits(context: RunContext) -> dict[str, Split]:
    """The splits of the data, on the GPU if it keeps them."""
    raw, engine = context.data.splits, context.engine
    if not isinstance(engine, CudaEngine):
        return raw
    fixed = {name: each for name, each in raw.items() if len(each) and each.transform is None}
    for name in raw:
        if len(raw[name]) and name not in fixed:
            context.view.say(f"{name} sent batch by batch: it is transformed on the CPU")
    if not fixed:
        return raw
    kept, line = engine.keep(context.network, {name: each.inputs for name, each in fixed.items()})
    context.view.say(line)
    return raw | {
        name: replace(fixed[name], inputs=inputs)  # type: ignore[arg-type] # its engine's alone
        for name, inputs in kept.items()
    }
