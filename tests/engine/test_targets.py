"""Losses besides cross-entropy of one class: every engine gives the reference engine's gradients,
and these are the difference quotients of what the loss says it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compared import assert_like_the_reference, weighted
from torch import Tensor

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.cuda import CudaEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dale, dense
from fdi.snn.objective import (
    CrossEntropy,
    Loss,
    LowerBound,
    MeanSquare,
    Objective,
    UpperBound,
)

B, T, UNITS, K, DT = 5, 16, 6, 3, 2e-3
FORM: dict[str, Any] = {"classes": K, "steps": T, "dt": DT}
MODELS = {
    "dense": lambda: dense((UNITS,), hidden=[11, 7], **FORM),
    "recurrent": lambda: dense((UNITS,), hidden=[11], recurrent=True, **FORM),
    "dale": lambda: dale((UNITS,), excitatory=[11], inhibitory=[4], **FORM),
    "conv": lambda: conv((1, UNITS, UNITS), filters=[3], **FORM),
}


@dataclass(frozen=True)
class Huber(Loss):
    """One of a user's own."""

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(prediction, target, reduction="none").sum(-1)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def numbers(*shape: int, until: np.ndarray | None = None) -> np.ndarray:
    y = rng().normal(size=(*shape, K))
    if until is not None:
        y[np.arange(T) >= until[:, None]] = np.nan
    return y


def classes(until: np.ndarray | None = None) -> np.ndarray:
    y = rng().integers(0, K, (B, T))
    if until is not None:
        y[np.arange(T) >= until[:, None]] = -1
    return y


ENDS = np.array([T, 9, 4, T, 12])
BOUNDS = UpperBound(0.1, 0.5), LowerBound(1.0, 2.0)
CASES = {
    "cross-entropy of every step": (Objective("every", *BOUNDS), np.arange(B) % K),
    "classes, weighted": (
        Objective("max", *BOUNDS, loss=CrossEntropy(0.2, (2.0, 0.5, 1.0))),
        np.arange(B) % K,
    ),
    "classes per step": (Objective("every", loss=CrossEntropy(0.2)), classes()),
    "classes per step, masked": (Objective("every", *BOUNDS), classes(ENDS)),
    "masked, the largest": (Objective("max"), np.where(classes(ENDS) < 0, -1, 1)),
    "masked, the mean": (Objective("mean"), np.where(classes(ENDS) < 0, -1, 1)),
    "masked, the last": (Objective("last", *BOUNDS), classes(ENDS)),
    "numbers at the end": (Objective("last", *BOUNDS, loss=MeanSquare()), numbers(B)),
    "numbers, the mean": (Objective("mean", loss=MeanSquare("error")), numbers(B)),
    "numbers of every step": (Objective("every", *BOUNDS, 0.3, MeanSquare("sMAPE")), numbers(B, T)),
    "numbers, masked": (Objective("every", loss=MeanSquare()), numbers(B, T, until=ENDS)),
    "one's own": (Objective("every", loss=Huber()), numbers(B, T, until=ENDS)),
    "one's own, primed": (Objective("last", *BOUNDS, 0.0, Huber()), numbers(B)),
}
FEW = ("classes per step, masked", "numbers at the end")


def network(model: str, dtype: torch.dtype = torch.float64):
    return weighted(MODELS[model]().double(), 3, 1, 1 / 3).to(dtype)


def inputs(model: str) -> Frames:
    shape = (1, UNITS, UNITS) if model == "conv" else (UNITS,)
    return Frames((rng().random((B, T, *shape)) < 0.3).astype(np.uint8))


@pytest.mark.parametrize(
    ("model", "case"),
    [  # what is asked of the readout has nothing to do with the layers below
        pytest.param(*each, marks=[pytest.mark.slow] * (each[0] != "dense" and each[1] not in FEW))
        for each in product(MODELS, CASES)
    ],
)
def test_engines_agree_on_every_objective(model, case):
    objective, y = CASES[case]
    engines = CpuEngine(2, chunk=2), CudaEngine()
    assert_like_the_reference(network(model), inputs(model), y, objective, *engines, near=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_float32_is_near_and_does_not_depend_on_threads(case):
    objective, y = CASES[case]
    x, found = inputs("dense"), []
    for threads in (1, 3):
        net = network("dense", torch.float32)
        outcome = CpuEngine(threads, chunk=2).step(net, x, y.astype(y.dtype), objective)
        found.append([weight.grad.numpy() for weight in net.parameters()])
    wanted = ReferenceEngine().step(network("dense"), x, y, objective)
    assert outcome.task == pytest.approx(wanted.task, rel=1e-4, abs=1e-5)
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


def by_definition(case: str, readout_TBK: np.ndarray) -> float:
    """Of all samples, in words of numpy."""
    objective, y = CASES[case]
    return sum(_of_one(objective, *each) for each in zip(readout_TBK.swapaxes(0, 1), y))


def _of_one(objective: Objective, readout_TK: np.ndarray, y: np.ndarray) -> float:
    steps = y.ndim == (1 if y.dtype.kind == "i" else 2)
    goals = y if steps else np.repeat(y[None], T, 0)
    counted = goals >= 0 if y.dtype.kind == "i" else ~np.isnan(goals).any(-1)
    u, goals = readout_TK[counted], goals[counted]
    if objective.readout != "every":
        u = {"max": u.max(0), "mean": u.mean(0), "last": u[-1]}[objective.readout][None]
        goals = goals[-1:]
    if isinstance(objective.loss, CrossEntropy):
        logs = u - np.log(np.exp(u).sum(1, keepdims=True))
        share = objective.label_smoothing
        w = np.array(objective.loss.class_weights or np.ones(u.shape[1]))
        each = [-(1 - share) * w[k] * z[k] - share * (w * z).mean() for z, k in zip(logs, goals)]
        return float(np.mean(each))
    apart = np.abs(u - goals)
    if isinstance(objective.loss, MeanSquare):
        return float((apart**2).mean())
    return float(np.where(apart < 1, apart**2 / 2, apart - 0.5).sum(1).mean())


@pytest.mark.parametrize("case", CASES)
def test_losses_are_what_they_are_called_and_have_its_slope(case):
    objective, y = CASES[case]
    readout = torch.tensor(rng().normal(size=(T, B, K)), requires_grad=True)
    task, _ = objective.judged(readout, torch.from_numpy(y))
    wanted = by_definition(case, readout.detach().numpy())
    assert float(task.detach().sum()) == pytest.approx(wanted)
    task.sum().backward()
    assert readout.grad is not None
    assert readout.grad.isfinite().all()
    step = 1e-6
    for at in [(T - 1, 0, 0), (3, 1, 2), (8, 1, 1), (10, 2, 0), (5, 4, 2)]:
        ends = []
        for sign in (1, -1):
            moved = readout.detach().clone()
            moved[at] += sign * step
            ends.append(float(objective.judged(moved, torch.from_numpy(y))[0].sum()))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float(readout.grad[at]) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_metrics_are_those_of_their_definitions():
    x, y = rng().normal(size=(2, 40, K))
    y[:, 1] += 5
    flat = torch.from_numpy(x)[None], torch.from_numpy(y)
    found = {}
    for name in ("R2", "sMAPE", "error"):
        objective = Objective("last", loss=MeanSquare(name))
        halves = [
            objective.judged(flat[0][:, part], flat[1][part])[1].numpy()
            for part in (slice(0, 13), slice(13, None))
        ]
        found[name] = objective.loss.score(halves[0] + halves[1])
    spread = ((y - y.mean(0)) ** 2).sum()
    assert found["R2"] == pytest.approx(1 - ((x - y) ** 2).sum() / spread)
    assert found["sMAPE"] == pytest.approx(np.mean(2 * np.abs(x - y) / (np.abs(x) + np.abs(y))))
    assert found["error"] == pytest.approx(np.mean((x - y) ** 2))


def test_the_accuracy_of_steps_counts_those_of_each_sample_that_count():
    readout, y = rng().normal(size=(T, B, K)), classes(ENDS)
    objective = Objective("every")
    _, sums = objective.judged(torch.from_numpy(readout), torch.from_numpy(y))
    counted = y >= 0
    right = readout.argmax(-1).T[counted] == y[counted]
    assert objective.loss.score(sums.numpy()) == pytest.approx(right.mean())


@pytest.mark.parametrize("engine", [CpuEngine(1), CudaEngine()])
@pytest.mark.parametrize(
    ("y", "what"),
    [
        (np.zeros((B, T + 1), np.int64), "labels must be 5 numbers from 0 to 2"),
        (np.full(B, -1), "labels must be 5 numbers from 0 to 2"),
        (np.zeros((B, K + 1)), r"targets of \(5, 4\); they must be \(5, 3\) or \(5, 16, 3\)"),
    ],
)
def test_targets_of_other_shapes_are_one_line(engine, y, what):
    objective = Objective("every", loss=CrossEntropy() if y.dtype.kind == "i" else MeanSquare())
    with pytest.raises(ValueError, match=f"^{what}$"):
        engine.step(network("dense"), inputs("dense"), y, objective)


def test_the_compiled_engine_says_that_it_has_no_such_loss_behind_a_norm():
    net = dense((UNITS,), hidden=[11], norm="layer", **FORM).double()
    with pytest.raises(ValueError, match="computes normalization with cross-entropy"):
        CpuEngine(1).step(net, inputs("dense"), numbers(B), Objective("last", loss=MeanSquare()))
    lacks = {"device": "cpu", "model": {"norm": "layer"}, "trainer": {"readout": "every"}}
    assert CpuEngine.lacks(lacks) == "trainer.readout=every"
    own = {"objective": {"_target_": "my.Loss"}, "trainer": {"readout": "max"}}
    assert CpuEngine.lacks(lacks | own) == "objective=my.Loss"
    assert CpuEngine.lacks(lacks | own | {"model": {}}) is None
