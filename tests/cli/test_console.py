"""What stands on a terminal: whole words and numbers, whatever its width."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from fdi.cli.terminal import Terminal, print_table
from fdi.init.verdict import ADVICE, NOT_KNOWN, Training, expected, remarks
from fdi.snn.objective import CrossEntropy, Outcome

LAYER = {
    "population": "h1",
    "neurons": 128,
    "free_mean": 0.0,
    "free_sigma": 1.0,
    "target_sigma_u": 1.0,
    "theory_sigma_u": 1.0,
    "rate": 7.0,
    "silent": 0.0,
    "saturated": 0.0,
    "grad": 0.1,
    "grad_task": 0.1,
    "grad_task_max": 0.01,
    "weight": 10.0,
    "weight_rms": 0.1,
    "floor_steady": 6e-10,
    "floor_noisy": 2e-9,
    "step": 5e-3,
    "updates": 100,
    "grad_labels": 0.5,
    "grad_bounds": 0.0,
    "upper": 0.0,
    "lower": 0.0,
}


def terminal(width: int) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        color_system=None,
        legacy_windows=False,
    )


def written(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def probed(rows, init="fluct") -> str:
    out = terminal(80)
    Terminal(out).probe(rows, "dense", init, None)
    return written(out)


def layers(**columns) -> list[dict]:
    rows = [
        LAYER | {"population": f"h{i}"} | dict(zip(columns, values))
        for i, values in enumerate(zip(*columns.values()), 1)
    ]
    nothing = dict.fromkeys(LAYER)
    return [*rows, nothing | {"population": "readout", "neurons": 10, "grad_task": 3.0}]


@pytest.mark.parametrize(
    ("rows", "init", "line"),
    [
        (
            layers(rate=[7, 15, 52], free_sigma=[1, 1.2, 3]),
            "fluct",
            "rates climb from 7 to 52 Hz over 3 layers",
        ),
        (
            layers(rate=[8, 3, 0.02], free_sigma=[1, 0.8, 0.3]),
            "fluct_calibrated",
            "rates fall from 8 to 0.02 Hz over 3 layers",
        ),
        (
            layers(rate=[8, 8, 8], free_sigma=[1, 2, 3], target_sigma_u=[1.0, None, None]),
            "fluct_rate",
            "the first layer is within a factor of 1.1 of the target",
        ),
        (
            layers(rate=[8, 0.0], silent=[0.1, 1.0], target_sigma_u=[None, None]),
            "kaiming",
            "h2 is silent",
        ),
        (
            layers(rate=[8, 9], free_sigma=[0.3, 1]),
            "fluct",
            "1 of 2 layers are too weak",
        ),
        (
            layers(rate=[8, 9, 9], free_sigma=[0.3, 2, 1]),
            "fluct",
            "2 of 3 layers are off target",
        ),
        (
            layers(rate=[8, 9], free_sigma=[2, 1]),
            "fluct",
            "1 of 2 layers are too strong",
        ),
        (layers(rate=[8, 9]), "fluct", "all layers are within a factor of 1.1 of the target"),
        (
            layers(rate=[8, 9], free_sigma=[1, 0.7]),
            "fluct",
            "all layers are within a factor of 1.5 of the target",
        ),
        (
            layers(rate=[30, 9], theory_sigma_u=[None, None]),
            "fluct",
            "rates fall from 30 to 9 Hz over 2 layers normalized: the "
            "closed form does not apply; sigma U is measured behind the normalization",
        ),
        (
            layers(rate=[0.0], silent=[1.0], free_sigma=[0.19], target_sigma_u=[0.2]),
            "fluct",
            "h1 is silent",
        ),
        (
            layers(rate=[200], saturated=[0.4], free_sigma=[3], target_sigma_u=[3]),
            "fluct",
            "the layer is saturated",
        ),
    ],
)
def test_the_probe_ends_in_a_sentence(rows, init, line):
    said = " ".join(probed(rows, init).split()).removesuffix(ADVICE).rstrip()
    assert said.endswith(f" {line}")


SMORMS3 = Training("smorms3 with eps=1e-16", "lower optimizer.eps", 1e-19)
FINE = {"rate": [8, 9, 9]}


@pytest.mark.parametrize(
    ("rows", "verdict", "line"),
    [
        (
            layers(**FINE, grad_task_max=[1.2e-11, 1e-3, 1e-2]),
            "no",
            "the largest element of h1's gradient, 1e-11, is 50 times below what smorms3 with "
            "eps=1e-16 follows (6e-10): lower optimizer.eps",
        ),
        (
            layers(**FINE, grad_task_max=[1.2e-20, 1e-12, 1e-2]),
            "no",
            "the largest element of h1's gradient, 1e-20, is 5e+10 times below what smorms3 with "
            "eps=1e-16 follows (6e-10), those of h2 lie below it, too: lower optimizer.eps with "
            "optimizer.precision=float64",
        ),
        (
            layers(rate=[8] * 6, grad_task_max=[1e-12, 1.2e-20, 1e-12, 1e-12, 1e-12, 1e-2]),
            "no",
            "the largest element of h2's gradient, 1e-20, is 5e+10 times below what smorms3 with "
            "eps=1e-16 follows (6e-10), those of h1, h3..h5 lie below it, too: lower "
            "optimizer.eps with optimizer.precision=float64",
        ),
        (
            layers(**FINE, grad_task_max=[1.2e-11, 0.0, 0.0], grad_bounds=[3, 0, 0]),
            NOT_KNOWN,
            "the largest element of h1's gradient, 1e-11, is 50 times below what smorms3 with "
            "eps=1e-16 follows (6e-10); h2, h3 have none until the layers below fire: lower "
            "optimizer.eps and set homeostasis=none, since the bounds are the larger gradient",
        ),
        (
            layers(**FINE, grad_task_max=[0.0, 0.0, 0.0]),
            "no",
            "no gradient of the task reaches a hidden layer, whatever the optimizer",
        ),
        (
            layers(
                **FINE, grad_task=[0.0, 0.0, 0.0], grad_task_max=[0.0] * 3, grad_bounds=[1, 0, 0]
            ),
            NOT_KNOWN,  # the bound may wake them up
            "no gradient of the task reaches a hidden layer, whatever the optimizer",
        ),
        (
            layers(**FINE, step=[1e-6, 1e-3, 1e-3]),
            NOT_KNOWN,
            "100 steps of smorms3 with eps=1e-16 can move the weights of h1 by 0.001 of their size",
        ),
        (
            layers(**FINE, step=[1e-3, 0.4, 1e-3]),
            NOT_KNOWN,
            "one step of smorms3 with eps=1e-16 can move a weight of h2 by 4 times their size",
        ),
        (
            layers(**FINE, grad_task=[1e4, 1.0, 0.1]),
            NOT_KNOWN,
            "gradients grow 1e+05-fold from h3 down to h1",
        ),
        (
            layers(**FINE, grad_labels=[1e-4, 1e-4, 1e-3]),
            "no",
            "the gradients of the hidden layers are the same for all labels: nothing to learn",
        ),
        (
            layers(**FINE, lower=[1e-4, 1e-4, 1e-4], upper=[0, 0, 0.1], grad_bounds=[1, 1, 1]),
            NOT_KNOWN,
            "the lower bound acts on h1..h3 (too few spikes) and the upper bound acts on h3 (too "
            "many spikes); gradients above are those of the task alone",
        ),
    ],
)
def test_the_probe_says_what_the_optimizer_and_the_bounds_make_of_it(rows, verdict, line):
    said = remarks(rows, "kaiming", SMORMS3)
    assert said[1] == line
    assert expected(rows) == verdict


def test_nothing_is_said_of_gradients_that_move_weights_and_of_bounds_that_do_not():
    rows = layers(**FINE, lower=[1e-4, 0, 0], grad_bounds=[1e-3, 0, 0])
    assert len(remarks(rows, "kaiming", SMORMS3)) == 1
    assert expected(rows) == NOT_KNOWN


def test_of_an_initial_state_from_before_floors_were_measured_nothing_is_said_about_them():
    old = ("updates", "weight_rms", "floor_steady", "floor_noisy", "step", "grad_labels")
    rows = [{k: v for k, v in row.items() if k not in old} for row in layers(**FINE)]
    assert len(remarks(rows, "kaiming", SMORMS3)) == 1


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_fits_and_has_everything(width):
    out = terminal(width)
    with Terminal(out).training(200, 100, 11, CrossEntropy()) as report:
        report.row(
            {
                "epoch": 12,
                "phase": "task",
                "train/loss": 12.3456,
                "train/accuracy": 1.0,
                "valid/accuracy": 0.985,
                "rate/h1": 6.8,
                "rate/h2": 52.1,
                "seconds": 1.0,
            }
        )
        report.batch(
            50, Outcome(task=61.5, regularizer=0.0, sums=np.array([43, 50]), samples=50, counts={})
        )
    last = [line for line in written(out).splitlines() if "loss 1.23" in line][-1]
    for word in ("/200", "86.0 %", "valid 98.5 %", "6.8-52.1 Hz", "0:00:0", "left"):
        assert word in last, last
    assert "\u2026" not in last


def test_a_table_that_does_not_fit_is_wrapped():
    columns = {
        "init": ["fluct", "kaiming"],
        **{f"a long title {i}": ["a value of some length", "1.2"] for i in range(6)},
    }
    out = terminal(80)
    print_table(out, columns, ["init"])
    text = written(out)
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    assert text.count("kaiming") == 1
    assert text.count("length") == text.count("title") == 6
