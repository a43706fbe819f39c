"""The units of scripts/study/transfer.py, and which step of a grid it calls the best."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fdi
from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.init.theory import psp_kernel, psp_kernel_integrals

STUDY = Path(__file__).parents[2] / "scripts" / "study"
TAUS = (20e-3, 10e-3, 2e-3)


@pytest.fixture
def transfer(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(STUDY)
    import transfer

    return transfer


def test_a_step_moves_a_potential_by_the_spread_or_the_mean_of_its_poisson_input(transfer):
    n, nu, size, steps = 50, 20.0, 0.01, 20_000
    spikes = np.random.default_rng(1).random((steps, n)) < nu * TAUS[2]
    moved = [
        np.convolve(spikes @ (size * signs), psp_kernel(*TAUS))[1000:steps]
        for signs in (np.resize([1, -1], n), np.ones(n))
    ]
    noise, direction = transfer.moves(n, nu, size, TAUS)
    assert moved[0].std() == pytest.approx(noise, rel=0.05)
    assert moved[1].mean() == pytest.approx(direction, rel=0.02)


def test_the_best_step_is_the_middle_of_those_as_good(transfer):
    def network(hidden: int, accuracies: dict[float, float]) -> list[dict[str, Any]]:
        usual = dict.fromkeys([*transfer.NETWORK, transfer.GRID], 1) | {"model.hidden": hidden}
        return [
            usual | {"optimizer.lr": lr, "valid_accuracy_last": valid + noise, "classes": 10}
            for lr, valid in accuracies.items()
            for noise in (-0.001, 0.001)
        ]

    plateau = {0.01: 0.7, 0.02: 0.895, 0.04: 0.9, 0.08: 0.5}
    rows = [*network(8, plateau), *network(16, {0.01: 0.9, 0.02: 0.4}), *network(32, {0.01: 0.1})]
    best = transfer.best(pd.DataFrame(rows)).set_index("model.hidden")
    assert best["lr"].to_dict() == pytest.approx({8: np.sqrt(0.02 * 0.04), 16: 0.01})


def test_a_network_loses_where_the_others_choose_another_step(transfer):
    valid = pd.Series({0.01: 0.5, 0.1: 0.9})
    usual = dict.fromkeys([*transfer.NETWORK, *transfer.UNITS], 1)
    rows = [
        usual | {"model.hidden": h, "lr": lr, "valid": valid} for h, lr in ((8, 0.1), (16, 0.01))
    ]
    lr = transfer.ratios(pd.DataFrame(rows)).iloc[0]
    assert lr[["all", "width", "lost", "most"]].tolist() == pytest.approx([10, 10, 20, 40])


def test_the_probe_knows_what_a_step_does_in_one_direction(transfer, tmp_path):
    words = ["engine=reference", "dataset.samples=20", "model.hidden=16", "model.depth=2"]
    (cell,) = compose_cells(parse(words))
    probed = fdi.probe(*words, results=tmp_path).iloc[:2]
    eps_bar, eps_hat = psp_kernel_integrals(*TAUS)
    n_nu = (probed["theory_sigma_u"] / probed["weight_rms"]) ** 2 / eps_hat
    moved = transfer.layers(cell.config)
    assert moved["one direction"].tolist() == pytest.approx((n_nu * eps_bar).tolist(), rel=1e-3)
