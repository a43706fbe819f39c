"""Each key that the user's own runs vary, but those of sweeps that have a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from matplotlib.axes import Axes

from fdi.analysis.collect import OWN_INIT, SHARED, Page, Runs, config_columns
from fdi.analysis.conditions import groups
from fdi.analysis.derived import COLUMNS
from fdi.analysis.results import OWN, Results
from fdi.config.settings import Figure
from fdi.figures import style
from fdi.figures.sweep import CONF, Sweep, experiments, own_folders
from fdi.figures.sweeps import of_sweep

PLACE, TITLE = 90, "Your own sweeps"
ABOUT = "accuracy by each key that your runs vary, but those of sweeps that have a figure"
NEEDS = "runs of yours with at least two values of a key, all else being equal"
COMMAND = "fdi-run -m trainer.batch_size=64,256 init=kaiming,fluct seed=range(3)"
SIZE = (style.COLUMN, 1.4)
PARTS = ("homeostasis", "neuron", "optimizer", "scheduler")
"""Choices of a group of the config, which vary several keys at once."""
NEVER = ("seed", "init._target_", OWN_INIT, *SHARED)


def data(results: Results) -> dict[str, Page]:
    """Page, one for each data set, network and key -> its table, see fdi.figures.sweep; `key`.
    Runs of a sweep that has a figure are left to that.
    """
    runs = results.runs[(results.runs["source"] == OWN) & (results.runs["state"] == "done")]
    for sweep in experiments((CONF, *own_folders(runs))).values():
        runs = runs[~of_sweep(runs, sweep.experiment)]
    return {
        f"{page}_{key}": table.assign(key=key)
        for _, network in groups(runs, ["dataset", "model"])
        for key in _varied(network)
        for page, table in _sweep(key).data(results.of(network)).items()
    }


def panels(page: Page) -> list[list[str]]:
    """One panel."""
    return _sweep(page["key"].iloc[0]).panels(page)


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """See fdi.figures.sweep."""
    _sweep(page["key"].iloc[0]).draw(page, axes)


def _sweep(key: str) -> Sweep:
    return Sweep(Figure(x=key))


def _varied(runs: Runs) -> Iterator[str]:
    """The keys that differ between these runs and can change their numbers, first those that name
    parts.
    """
    keys = [
        key
        for key in config_columns(runs)
        if key not in NEVER and runs.groupby("init")[key].nunique(dropna=False).max() > 1
    ]
    for part in PARTS:
        own = [key for key in keys if key == part or key.startswith(f"{part}.")]
        if len(own) > 1 and COLUMNS[part].of(runs).nunique() > 1:
            yield part
    yield from keys
