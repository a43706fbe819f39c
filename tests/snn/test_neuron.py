"""The values of neurons stand on their classes; configurations call these by name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import torch

from fdi.snn import neuron
from fdi.snn.neuron import ALIF, AdaptiveThreshold, AdLIF, Neuron
from fdi.snn.surrogate import SURROGATES, steepness


@pytest.mark.parametrize("name", neuron.KINDS)
def test_a_name_takes_the_fields_of_its_kind_with_their_defaults(name):
    make: Any = getattr(neuron, name)
    kind = make.kind
    assert make() == kind()
    options = inspect.signature(make).parameters
    assert set(options) == {field.name for field in fields(kind)} - set(neuron.CHANNELS)
    for key, option in options.items():
        if key not in ("tau_syn", "beta"):
            assert option.default == getattr(kind(), key)
    assert make(tau_syn=3e-3).tau_syn == (3e-3,)


@pytest.mark.parametrize("name", SURROGATES)
def test_without_a_steepness_that_of_the_surrogate_is_taken(name):
    assert neuron.lif(surrogate=name).beta == steepness(name)
    assert neuron.lif(surrogate=name, beta=3.5).beta == 3.5


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Neuron(tau_mem=-1.0), "tau_mem = -1.0 must be a number at least 1e-06"),
        (lambda: Neuron(tau_syn=(0.0,)), "tau_syn = \\[0.0\\] must be a list"),
        (lambda: Neuron(theta=float("inf")), "theta = inf must be a finite number"),
        (lambda: neuron.lif(reset="soft"), "reset = soft must be zero or subtract"),
        (lambda: Neuron(surrogate="ramp"), "surrogate = ramp must be superspike or triangle"),
        (lambda: Neuron(beta=0.0), "beta = 0.0 must be a number above 0"),
        (lambda: Neuron(tau_shape=0.0), "tau_shape = 0.0 must be a number at least 0.1"),
        (lambda: ALIF(a=-0.1), "a = -0.1 must be a number at least 0"),
        (lambda: AdLIF(a=-1.0), "a = -1.0 must be a number above -1"),
        (lambda: AdaptiveThreshold(t_ref=-1e-3), "t_ref = -0.001 must be a number at least 0"),
        (lambda: neuron.lif(surrogate="ramp"), "surrogate = ramp must be superspike"),
    ],
)
def test_a_value_out_of_its_range_is_refused(make, problem):
    with pytest.raises(ValueError, match=f"neuron: {problem}"):
        make()


def test_what_is_no_option_is_refused():
    with pytest.raises(TypeError, match="signs"):
        neuron.lif(signs=(1,))


@dataclass(frozen=True)
class Own(Neuron):
    """Its hint names what only a type checker knows."""

    gate: Unheard = 1.0  # type: ignore[name-defined]  # noqa: F821


def test_a_kind_of_ones_own_is_checked_where_it_is_fdis():
    assert Own().gate == 1.0
    with pytest.raises(ValueError, match="theta = 0 must be"):
        replace(Own(), theta=0)


def test_a_surrogate_of_ones_own_is_found_by_its_dotted_name(tmp_path, monkeypatch):
    (tmp_path / "own_slopes.py").write_text("def ramp(v, beta=2.5):\n    return beta * v\n")
    monkeypatch.syspath_prepend(tmp_path)
    known = dict(SURROGATES)
    v = torch.tensor([0.5], requires_grad=True)
    neuron.lif(surrogate="own_slopes.ramp").spike(v).backward()
    assert v.grad is not None
    assert v.grad.item() == 2.5 * 0.5
    assert known == SURROGATES


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spikes_are_the_same_where_nothing_is_differentiated(dtype):
    v = torch.randn(1001, dtype=dtype)
    v[:5] = torch.tensor([float("nan"), 0.0, -0.0, float("inf"), 1e-40])
    with torch.no_grad():
        spikes = Neuron().spike(v)
    assert torch.equal(spikes, Neuron().spike(v))
    assert torch.equal(spikes, (v > 0).to(dtype))
    assert not spikes.signbit().any()
