"""One step of a neuron, forward and backward, computed in three ways."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from fdi.config import Mistake
from fdi.config.parts import parameters
from fdi.engine.derived import NEVER, constants_of, derived
from fdi.snn.equations import evaluate
from fdi.snn.neuron import Constants, Neuron, Reset
from fdi.snn.surrogate import SURROGATES, derivative_named, steepness

DT = 2e-3
SIZE = 400


class Moment(NamedTuple):
    """U[t], sum_c sign_c I_c[t] and the state before step t, and gU[t + 1], gS[t] and the gradient
    of the state behind the step; float64 [SIZE], or [variables, SIZE].
    """

    u: Tensor
    current: Tensor
    state: Tensor
    gu: Tensor
    gs: Tensor
    g_state: Tensor


def moment(n: Neuron) -> Moment:
    """Around the threshold, above it and below, and once far above, where some neurons rest."""
    rng, size = np.random.default_rng(0), (n.STATES, SIZE)
    draws = [rng.normal(0.4 * n.theta, 0.8 * n.theta, SIZE), rng.normal(0, 1, SIZE)]
    draws += [rng.normal(0, 0.5, size), *rng.normal(0, 1, (2, SIZE)), rng.normal(0, 1, size)]
    draws[0][0] = 1000 * n.theta
    if n.rest(DT):
        draws[2][-1], draws[5][-1] = np.maximum(rng.integers(-3, 3, SIZE), 0), 0
    return Moment(*map(torch.from_numpy, draws))


def step_constants(n: Neuron) -> Constants:
    """Of a step of DT."""
    beta_m, _ = n.decays(DT)
    return Constants(DT, beta_m, 1 - beta_m)


def results_of_step(n: Neuron, m: Moment) -> list[Tensor]:
    """S[t], U[t + 1] and the state behind step t."""
    s = n.fires(m.u, tuple(m.state))
    u, state = n.step(m.u, s, m.current, tuple(m.state), step_constants(n))
    return [s, u, *state]


def _total(n: Neuron, m: Moment) -> Tensor:
    """What gU, gS and the gradient of the state say of a step, for each neuron."""
    s, u, *state = results_of_step(n, m)
    return sum((g * x for g, x in zip(m.g_state, state)), m.gs * s + m.gu * u)


def gradients_of_step(n: Neuron, m: Moment) -> list[np.ndarray]:
    """gU[t], gI[t] and the gradient of the state before step t, by autograd."""
    leaves = [x.clone().requires_grad_() for x in (m.u, m.current, m.state)]
    total = _total(n, m._replace(u=leaves[0], current=leaves[1], state=leaves[2])).sum()
    u, current, state = torch.autograd.grad(total, leaves, allow_unused=True)
    u, current = (torch.zeros(SIZE).double() if g is None else g for g in (u, current))
    state = torch.zeros_like(m.state) if state is None else state
    return [u.numpy(), current.numpy(), *state.numpy()]


def finite_differences(n: Neuron, m: Moment, h: float = 1e-6) -> list[np.ndarray]:
    """The same by finite differences of the step whose spikes are S + dS/dU (V' - V) around their
    own S and V, where the reset and the refractory period see S.
    """
    base: dict[str, Tensor] = {}

    class Linear(type(n)):  # type: ignore[misc]  # a class made of a class that is given
        def spike(self, v: Tensor) -> Tensor:
            if "v" not in base:
                base["v"], base["s"] = v, (v > 0).to(v.dtype)
            steep = derivative_named(n.surrogate)(base["v"], n.beta)
            return base["s"] + steep * (v - base["v"])

        def seen(self, s: Tensor) -> Tensor:
            return base["seen"]

    linear = object.__new__(Linear)
    linear.__dict__.update(vars(n))
    base["seen"] = linear.fires(m.u, tuple(m.state))

    def slope(change: Callable[[float], Moment]) -> np.ndarray:
        return ((_total(linear, change(h)) - _total(linear, change(-h))) / (2 * h)).numpy()

    slopes = [
        slope(lambda h: m._replace(u=m.u + h)),
        slope(lambda h: m._replace(current=m.current + h)),
    ]
    for i in range(n.STATES):
        if i == len(n.STATE) and n.rest(DT):  # whole steps
            slopes.append(np.zeros(SIZE))
            continue
        one = torch.eye(n.STATES).double()[i][:, None]
        slopes.append(slope(partial(_moved, m, one)))
    return slopes


def _moved(m: Moment, by: Tensor, h: float) -> Moment:
    return m._replace(state=m.state + h * by)


@np.errstate(all="ignore")
def by_code(
    n: Neuron, m: Moment, code: str | None = None, raised: float = 0.0
) -> tuple[list, list]:
    """`results_of_step` and `gradients_of_step` by the `code` that is derived from the description,
    with a threshold that is `raised`.
    """
    kind: Any = type(n)
    code = derived(kind).code if code is None else code
    functions: dict[str, Any] = dict(
        NEVER=NEVER,
        select=np.where,
        like=lambda a, number: np.full(SIZE, float(number)),
        exp=np.exp,
        through_slope=lambda slope, gs: gs * slope,
        with_slope=lambda slope, gs, factor, g: factor * g + gs * slope,
    )
    exec(code, functions)
    c = step_constants(n)
    names = {f"c{i}": value for i, value in enumerate(constants_of(n, DT))}
    named: Any = type("Constants", (), names)
    u, current, gu, gs = (x.numpy() for x in (m.u, m.current, m.gu, m.gs))
    state, g_state = tuple(m.state.numpy()), tuple(m.g_state.numpy())
    past = functions["remember"](named, state)
    v = u - functions["threshold"](named, np.full(SIZE, n.theta + raised), past)
    fired = v > 0
    after, behind = functions["advance"](named, u, fired, c.gain * current, state)
    if n.reset == "subtract":
        leak = evaluate(n.LEAK, vars(n) | c._asdict())
        after, gd = after - np.where(fired, leak * n.theta, 0), gu
    else:
        after, gd = np.where(fired, getattr(n, "u_reset", 0.0), after), np.where(fired, 0, gu)
    steep = derivative_named(n.surrogate)(torch.from_numpy(v), n.beta).numpy()
    g, g_before = functions["retreat"](named, u, fired, gd, gs, steep, g_state, past)
    return [fired, after, *behind], [g, c.gain * gd, *g_before]


def resets(n: Neuron) -> list[str]:
    """Those that its kind may have."""
    admits = parameters(type(n))["reset"].admits  # type: ignore[arg-type]
    return [word for word in (*get_args(Reset), "constant") if admits(word)]


def check_neuron(n: Neuron) -> None:
    """See fdi.testing.check."""
    assert pickle.loads(pickle.dumps(n)) == n, f"{n} is another one when it is pickled"
    for reset, surrogate in product(resets(n), SURROGATES):
        beta = 0.4 if surrogate == "boxcar" else steepness(surrogate)
        form: dict[str, Any] = dict(reset=reset, surrogate=surrogate, beta=beta)
        check_step(replace(n, **form))
    check_fields(n)


def check_step(n: Neuron) -> None:
    """Finite differences against autograd, and that against the derived code."""
    m, name = moment(n), f"{type(n).__name__} with reset {n.reset} and {n.surrogate}"
    wanted = gradients_of_step(n, m)
    for found, expected in zip(finite_differences(n, m), wanted):
        off = float((np.abs(found - expected) / (1 + np.abs(expected))).max())
        assert off < 1e-5, f"{name}: its gradient is {off:.2g} off that of finite differences"
    try:
        kind: Any = type(n)
        derived(kind)
    except Mistake:
        return
    if n.reset == "at_once":
        return
    forward, backward = by_code(n, m)
    for x, y in zip(
        [*forward, *backward], [*map(np.asarray, results_of_step(n, m)), *wanted], strict=True
    ):
        close = np.allclose(x, y, rtol=1e-9, atol=1e-12)
        assert close, f"{name}: what is derived from its description differs from its step"


def check_fields(n: Neuron) -> None:
    """Each number changes a step, or its gradient."""
    m = moment(n)
    base = _numbers_of_step(n, m)
    own = {field.name for field in fields(n)} - {"tau_syn", "signs", "spiking", "tau_shape"}
    for name in own - {"learn_tau", "u_init", "reset", "surrogate"}:
        value = getattr(n, name)
        if isinstance(value, float | int) and not isinstance(value, bool):
            change: Any = 2 * value if value else 0.01
            try:
                other = _numbers_of_step(replace(n, **{name: change}), m)
            except ValueError:
                continue
            same = all(np.array_equal(a, b) for a, b in zip(base, other))
            assert not same, f"{type(n).__name__}: {name} = {change} does not change the numbers"


def _numbers_of_step(n: Neuron, m: Moment) -> list[np.ndarray]:
    return [*(x.numpy() for x in results_of_step(n, m)), *gradients_of_step(n, m)]
