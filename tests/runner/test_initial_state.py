"""An initial state is drawn and measured once for runs that differ later, and a short run waits for
the disk as seldom as its record allows.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from making import SMALL, numbers

import fdi
from fdi.data import dataset
from fdi.runner import training
from fdi.track.files import PROBE, RUN

pytestmark = pytest.mark.usefixtures("here")
STATE: Any = {"init": "fluct_calibrated", "probe": "before", "model.depth": 2, "seed": 5}
LATER: list[Any] = [
    {"optimizer.lr": 0.01},
    {"optimizer": "adam", "trainer.epochs": 3},
    {"trainer.test": False, "trainer.clip": 1.0},
]


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    calls: list[int] = []
    real = getattr(training, name)
    monkeypatch.setattr(training, name, lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    return calls


def test_runs_that_differ_later_share_it_with_the_numbers_of_runs_alone(monkeypatch):
    alone = []
    for i, other in enumerate(LATER):
        dataset._kept.clear()
        alone.append(fdi.run(**SMALL | STATE | other, results=f"alone{i}").directory)
    dataset._kept.clear()
    drawn, probed = (counted(monkeypatch, name) for name in ("draw_weights", "probe_populations"))
    together = [fdi.run(**SMALL | STATE | other, results="together").directory for other in LATER]
    assert (len(drawn), len(probed)) == (1, 1)
    for one, other in zip(alone, together):
        assert numbers(one) == numbers(other)
        assert (one / PROBE).read_bytes() == (other / PROBE).read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 6},
        {"homeostasis": "none"},
        {"init.sigma_u": 0.5},
        {"trainer.readout": "mean"},
        {"dataset.max_train": 60},
        {"probe_every": 1},
    ],
    ids=str,
)
def test_what_it_depends_on_makes_another(monkeypatch, other):
    fdi.run(**SMALL | STATE)
    drawn, probed = (counted(monkeypatch, name) for name in ("draw_weights", "probe_populations"))
    fdi.run(**SMALL | STATE | other)
    assert len(drawn) == 1
    assert probed


def test_a_short_run_waits_for_the_disk_eleven_times(monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 1e6)
    fdi.run(**SMALL)  # makes the folders above
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    run = fdi.run(**SMALL | {"seed": 1, "probe": "before"})
    assert (run.directory / RUN).exists()
    assert len(calls) <= 11
