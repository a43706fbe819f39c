"""What the probe measured in training, onto the axes."""

from __future__ import annotations

import pandas as pd
import pytest

from fdi.analysis.collect import KEYS
from fdi.analysis.results import Results, own
from fdi.figures import in_training
from fdi.figures.catalogue import pages_of
from fdi.track.files import METRICS

STATE = {"population": "h1", "rate": 7.0, "free_mean": -0.5, "free_sigma": 1.0, "decoded": 0.25}


def write(write_run, init, seed, every=2):
    """A run of 4 epochs, of which the first and the third were not probed."""
    run = write_run(init, seed, [0.2, 0.4, 0.6, 0.8], probe=[STATE])
    if every:
        rows = pd.read_csv(run / METRICS)
        for i, quantity in enumerate(in_training.QUANTITIES):
            rows[f"probe/{quantity}/h1"] = [None, 0.1 * i + seed, None, 0.2 * i + seed]
        rows["probe/rate/h2"] = None
        rows.to_csv(run / METRICS, index=False)
    return run


@pytest.fixture
def probed(tmp_path, write_run):
    """Results with two runs that were probed in training."""
    paths = [write(write_run, "fluct", seed) for seed in range(2)]
    runs = own(tmp_path).runs.assign(probe_every=2)
    keys = runs[[*KEYS]].set_index("path", drop=False)
    rows = [pd.read_csv(path / METRICS).assign(**keys.loc[str(path)]) for path in paths]
    return Results(runs, pd.concat(rows), keys.reset_index(drop=True).assign(**STATE), tmp_path)


def test_the_initial_state_and_each_epoch_that_was_probed_is_on_its_curve(probed, drawn):
    page = pages_of(in_training, probed)["randman_dense"]
    spread = page[page["quantity"] == "probe/free_sigma/h1"]
    assert spread["epoch"].tolist() == [0, 2, 4]
    assert spread["mean"].tolist() == pytest.approx([1, 0.1 + 0.5, 0.2 + 0.5])
    decoded = page[page["quantity"] == "probe/decoded/h1"]
    assert decoded["mean"].tolist()[0] == pytest.approx(25), "percent"
    assert "probe/rate/h2" not in set(page["quantity"]), "never measured"
    figure, axes = drawn(in_training, page)
    line = axes["probe/free_sigma/h1"].lines[0]
    assert line.get_xdata().tolist() == [0, 2, 4]
    assert "class decoded (%)" in {panel.get_ylabel() for panel in axes.values()}
    assert figure.texts


def test_runs_without_probes_have_no_page(write_run, tmp_path):
    write(write_run, "fluct", 0, every=0)
    assert pages_of(in_training, own(tmp_path)) == {}
