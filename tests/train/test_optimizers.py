from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from fdi.snn.models import dense
from fdi.train.optimizers import SMORMS3, AdamAtan2, Precision, fuse, parameter_groups
from fdi.train.rules import prepared


def test_smorms3_equals_the_authors_library(shared):
    expected = json.loads((shared / "reference" / "weights_and_optimizer.json").read_text())[
        "smorms3"
    ]
    first, *after = torch.tensor(expected["parameters"], dtype=torch.float64)
    p = torch.nn.Parameter(first.clone())
    optimizer = SMORMS3([p], lr=expected["lr"], eps=expected["eps"])
    for gradient, moved in zip(
        torch.tensor(expected["gradients"], dtype=torch.float64), after, strict=True
    ):
        p.grad = gradient
        optimizer.step()
        np.testing.assert_allclose(p.detach().numpy(), moved.numpy(), rtol=0, atol=1e-10)


def test_gradients_below_the_floor_of_float32_count_in_float64():
    moved = {}
    cases: list[tuple[Precision, float]] = [("float32", 1e-37), ("float64", 1e-70)]
    for precision, eps in cases:
        p = torch.nn.Parameter(torch.zeros(3))
        made = SMORMS3([p], lr=1e-2, eps=eps, precision=precision)
        for _ in range(2):  # it goes on in its own precision
            state = made.state_dict()
            made = SMORMS3([p], lr=1e-2, eps=eps, precision=precision)
            made.load_state_dict(state)
            p.grad = torch.full((3,), 1e-30)
            made.step()
        moved[precision] = p.detach()
    # r = 1/2, then mem = 1 + 1 (1 - 1/2) = 3/2, r = 2/5: steps of lr/sqrt(1/2) and lr/sqrt(7/10)
    expected = -1e-2 * (0.5**-0.5 + 0.7**-0.5)
    np.testing.assert_allclose(moved["float64"].numpy(), expected, rtol=1e-6)
    assert not moved["float32"].any()
    with pytest.raises(ValueError, match=r"use optimizer\.precision=float64"):
        SMORMS3([p], eps=1e-70)


@pytest.mark.parametrize("shape", [(37, 70), (3,), (16, 4, 3, 3)])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_smorms3_in_one_pass_is_that_of_torchs_functions(shape, precision):
    """One pass takes weights that lie side by side in memory only. Its running means are the same
    to the last bit; its square root is rounded correctly, that of torch is not.
    """
    found = []
    for apart in (2, 1):
        g = torch.Generator().manual_seed(0)
        values = torch.randn(shape, generator=g, dtype=getattr(torch, precision))
        p = torch.nn.Parameter(values.repeat_interleave(apart, -1)[..., ::apart])
        assert p.is_contiguous() == (apart == 1)
        optimizer = SMORMS3([p], lr=5e-3, precision=precision)
        for _ in range(10):
            scale = 10.0 ** torch.randint(-15, 1, shape, generator=g)
            p.grad = torch.randn(shape, generator=g, dtype=p.dtype) * scale.to(p.dtype)
            optimizer.step()
        found.append([p.detach(), *optimizer.state[p].values()])
    (weight, *means), (one, *others) = found
    assert all(torch.equal(plain, other) for plain, other in zip(means, others))
    rounded = 4 * torch.finfo(one.dtype).eps
    torch.testing.assert_close(one, weight, rtol=rounded, atol=rounded)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_a_fused_optimizer_rounds_otherwise_and_no_more(kind):
    weights = {}
    for fused in (False, None):
        torch.manual_seed(0)
        p = torch.nn.Parameter(torch.rand(30, 70))
        optimizer = fuse(kind([p], lr=1e-3, fused=fused))
        assert optimizer.param_groups[0]["fused"] is (fused is None)
        for _ in range(100):
            p.grad = torch.randn(p.shape)
            optimizer.step()
        weights[fused] = p.detach()
    eps = torch.finfo(torch.float32).eps
    np.testing.assert_allclose(weights[None], weights[False], rtol=0, atol=0.5 * eps)


@pytest.mark.parametrize(
    "options", [{}, {"dampening": 0.5}, {"dampening": 0.5, "weight_decay": 1.0, "maximize": True}]
)
def test_a_weight_may_have_its_first_gradient_later_than_others(options):
    weights = {}
    for fused in (False, None):
        torch.manual_seed(0)
        first, later = (torch.nn.Parameter(torch.rand(30, 70)) for _ in range(2))
        optimizer = torch.optim.SGD([first, later], lr=0.1, momentum=0.9, fused=fused, **options)
        fuse(optimizer)
        for turn in range(4):
            first.grad, later.grad = torch.randn(2, 30, 70)
            if not turn:
                later.grad = None
            optimizer.step()
        weights[fused] = torch.stack([first.detach(), later.detach()])
    np.testing.assert_allclose(weights[None], weights[False], rtol=0, atol=1e-6)


def test_an_optimizer_that_cannot_be_fused_or_should_not_stays_as_it_is():
    p = [torch.nn.Parameter(torch.rand(3))]
    assert "fused" not in fuse(torch.optim.NAdam(p)).param_groups[0]
    assert fuse(torch.optim.Adam(p, foreach=True)).param_groups[0]["fused"] is None


def test_adam_atan2_is_adam_without_eps():
    """Everett et al. 2024, with t, m and v as in Adam, for gradients of any size."""
    rng, b1, b2, lr = np.random.default_rng(0), 0.9, 0.99, 1e-2
    for size in (1.0, 1e-30):
        p = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
        small = torch.nn.Parameter(torch.zeros(5))
        made, single = AdamAtan2([p], lr, (b1, b2)), AdamAtan2([small], lr, (b1, b2))
        m = v = np.zeros(5)
        expected = np.zeros(5)
        for t in range(1, 6):
            g = size * rng.normal(size=5)
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            ratio = np.arctan2(m / (1 - b1**t), np.sqrt(v / (1 - b2**t)))
            expected -= lr * 4 / np.pi * ratio
            p.grad, small.grad = torch.from_numpy(g), torch.from_numpy(g).float()
            made.step(), single.step()
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-12)
        np.testing.assert_allclose(small.detach().numpy(), expected, rtol=1e-4)


def test_a_factor_scales_the_step_and_is_no_part_of_lr():
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    both: list[dict] = [{"params": weights[:1]}, {"params": weights[1:], "factor": 0.25}]
    optimizer = torch.optim.SGD(both, lr=1.0)
    for weight in weights:
        weight.grad = torch.ones(2)
    prepared(optimizer)()
    assert [weight.detach()[0].item() for weight in weights] == [-1.0, -0.25]
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 1.0]


def test_without_step_sizes_of_their_own_all_parameters_are_one_group():
    network = dense(input_shape=(5,), classes=3, steps=4, dt=2e-3, hidden=[4], recurrent=True)
    (group,) = parameter_groups(network)
    assert [id(p) for p in group["params"]] == [id(p) for p in network.parameters()]
    assert list(group) == ["params"]


def test_step_sizes_of_their_own_are_groups_with_a_factor():
    network = dense(input_shape=(5,), classes=3, steps=4, dt=2e-3, hidden=[4], recurrent=True)
    made = parameter_groups(network, 1e-2, {"readout": 5e-3, "recurrent": None})
    factors = {id(p): g.get("factor", 1.0) for g in made for p in g["params"]}
    names = {p.name: factors[id(p.weight)] for p in network.projections}
    assert names == {"input->h1": 1.0, "h1->h1": 1.0, "h1->readout": 0.5}
    with pytest.raises(ValueError, match="this network has no normalization; leave it out"):
        parameter_groups(network, 1e-2, {"norm": 0.1})
    with pytest.raises(ValueError, match="this optimizer has no step size lr"):
        parameter_groups(network, None, {"readout": 0.1})


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_step_by_the_short_way_is_that_of_the_optimizer(precision):
    weights = [[torch.nn.Parameter(torch.ones(3, 5))] for _ in range(2)]
    short, long = (SMORMS3(w, lr=0.1, precision=precision) for w in weights)
    schedule = None  # of torch, which warns where a step was not the optimizer's own
    for i in range(8):
        schedule = StepLR(short, 2) if i == 4 else schedule
        gradient = torch.randn(3, 5, generator=torch.Generator().manual_seed(i))
        for (w,) in weights:
            w.grad = gradient.clone()
        prepared(short)()
        long.step()
        if schedule is not None:
            schedule.step()
            long.param_groups[0]["lr"] = short.param_groups[0]["lr"]
    assert torch.equal(weights[0][0], weights[1][0])
