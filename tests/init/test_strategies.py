"""Every strategy on every architecture and kind of input: drawn and probed, or refused with a
sentence.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast

import compared
import numpy as np
import pytest
import torch
from making import one_line

from fdi.data.inputs import Constant, Events, Frames
from fdi.engine.reference import ReferenceEngine
from fdi.init.baselines import (
    Ikun,
    IkunScaled,
    Kaiming,
    KaimingScaled,
    Micheli,
    SpyTorch,
)
from fdi.init.fluct import Fluct, FluctCalibrated, FluctMu, FluctRate
from fdi.init.homeostatic import Homeostatic
from fdi.init.named import NAMES
from fdi.init.probe import probe_populations
from fdi.init.strategy import rate_of_equal_spread
from fdi.init.theory import psp_kernel_integrals
from fdi.snn.models import conv, dale, dale_conv, dense
from fdi.snn.network import draw_time_constants
from fdi.snn.neuron import KINDS, lif
from fdi.snn.objective import Objective

STEPS, DT, BATCH, CLASSES, NU = 40, 2e-3, 12, 3, 60.0
DIFFERENT = lif(tau_shape=3.0)
MODELS = {
    "dense": partial(dense, hidden=40, depth=2),
    "recurrent": partial(dense, hidden=40, depth=2, recurrent=True),
    "skip": partial(dense, hidden=40, depth=3, skip=True),
    "conv": partial(conv, filters=(6, 8), pool=(2, 1)),
    "conv_recurrent": partial(conv, filters=6, stride=2, depth=2, recurrent_kernel=3),
    "conv_skip": partial(conv, filters=6, stride=(1, 2, 1), depth=3, skip=True),
    "dale": partial(dale, excitatory=40, inhibitory=10, depth=2),
    "dale_ff": partial(dale, excitatory=40, inhibitory=10, depth=2, recurrent_excitation=False),
    "dale_skip": partial(dale, excitatory=40, inhibitory=10, depth=3, skip=True),
    "dale_conv": partial(
        dale_conv, excitatory=8, inhibitory=4, pool=(2, 1), depth=2, recurrent_kernel=3
    ),
    "different": partial(dense, neuron=DIFFERENT, hidden=40, depth=2, recurrent=True),
    "dale_different": partial(dale, neuron=DIFFERENT, excitatory=40, inhibitory=10, depth=2),
}
STRATEGIES = {name: made() for name, made in NAMES.items() if isinstance(made, type)} | {
    "fluct_propagate": Fluct(nu="propagate"),
    "fluct_mu": FluctMu(mu_u=0.2, xi=1.0),
    "fluct_rate_identity": FluctRate(identity=0.9),
    "homeostatic_calibrated": Homeostatic(rule="fluctuations"),
}
ONLY_BOTH_SIGNS = {name for name, strategy in STRATEGIES.items() if strategy.baseline}
ONLY_BOTH_SIGNS |= {"fluct_mu", "fluct_rate_identity", "homeostatic_calibrated"}
GAINS = [
    (SpyTorch(), 7.0),
    (Ikun(), 21**0.5),
    (IkunScaled(), 21**0.5 / -np.expm1(-DT / 20e-3)),
    (Kaiming(2**0.5), 2**0.5),
    (KaimingScaled(), 1 / -np.expm1(-DT / 20e-3)),
]
SHAPES = {"line": (1, 16), "image": (2, 6, 6)}


def spikes(shape, counts=False, steps=STEPS):
    x = np.random.default_rng(0).poisson(NU * DT, (BATCH * steps, int(np.prod(shape))))
    rows, units = np.nonzero(x)
    indptr = np.searchsorted(rows, np.arange(BATCH * steps + 1))
    return Events(
        indptr,
        units.astype(np.int32),
        shape,
        steps,
        x[rows, units].astype(np.float32) if counts else None,
    )


INPUTS = {
    "events": lambda shape: spikes(shape),
    "counts": lambda shape: spikes(shape, counts=True),
    "frames": lambda shape: Frames(
        np.random.default_rng(1).poisson(NU * DT, (BATCH, STEPS, *shape)).astype(np.uint8)
    ),
    "constant": lambda shape: Constant(
        np.random.default_rng(2).random((BATCH, *shape), np.float32), STEPS, 2.0, -1.0
    ),
}


def rate(inputs):
    if isinstance(inputs, Constant):
        return rate_of_equal_spread([inputs], lif(), DT)
    return inputs.total() / (BATCH * inputs.steps * DT * np.prod(inputs.shape))


def drawn(model, strategy, inputs, seed=0):
    network = model(inputs.shape, CLASSES, inputs.steps, DT)
    draw_time_constants(network, np.random.default_rng(seed))
    analogue = isinstance(inputs, Constant)
    return compared.drawn(network, strategy, inputs, rate(inputs), seed, analogue)


def initialized(model, strategy, inputs):
    """(network, rows of its probe)."""
    network, labels = drawn(model, strategy, inputs), np.arange(BATCH) % CLASSES
    nu = rate(inputs)
    return network, probe_populations(
        network, ReferenceEngine(), inputs, labels, Objective(), strategy, nu
    )


COUPLED = ("fluct_calibrated", "dale", "constant")
"""Two populations whose spreads jump as the other's spikes come and go: takes more than 12 rounds.
"""


def combinations():
    """Of a strategy and every third model one kind of input, another for the next; the others but
    `COUPLED` are slow.
    """
    for i, strategy in enumerate(STRATEGIES):
        for j, model in enumerate(MODELS):
            for k, kind in enumerate(INPUTS):
                often = (i + j) % 3 == 0 and k == (i + j) // 3 % len(INPUTS)
                often = often or (strategy, model, kind) == COUPLED
                yield pytest.param(strategy, model, kind, marks=() if often else pytest.mark.slow)


@pytest.mark.parametrize(("strategy", "model", "kind"), [*combinations()])
def test_every_combination_is_probed_or_refused(strategy, model, kind):
    inputs = INPUTS[kind](SHAPES["image"] if kind == "constant" else SHAPES["line"])
    dale_model = model.startswith("dale")
    if strategy in ONLY_BOTH_SIGNS and dale_model:
        with one_line(r"Dale's law forbids"):
            initialized(MODELS[model], STRATEGIES[strategy], inputs)
    elif strategy == "fluct_lognormal" and not dale_model:
        with one_line(r"use init=fluct for this model"):
            initialized(MODELS[model], STRATEGIES[strategy], inputs)
    elif (strategy, kind) == (
        "fluct_propagate",
        "constant",
    ) and dale_model:  # non-negative weights on images around 0: few spikes
        with one_line(r"fires no spike, .* drawn for its rate \(init.nu = "):
            initialized(
                MODELS[model],
                STRATEGIES[strategy],
                Constant(-np.ones((BATCH, *SHAPES["image"]), np.float32), STEPS),
            )
    else:
        chosen = STRATEGIES[strategy]
        if dale_model and kind == "constant":
            chosen = replace(cast(Fluct, chosen), nu=NU)
        network, rows = initialized(MODELS[model], chosen, inputs)
        *rows, readout = rows
        assert [row["population"] for row in rows] == [
            population.name for population in network.hidden
        ]
        assert readout["population"] == "readout"
        assert readout["grad"] > 0 or all(row["rate"] == 0 for row in rows[-1:])
        assert all(
            bool(torch.isfinite(weight).all()) and bool(weight.any())
            for weight in network.parameters()
        )
        assert all(bool((p.weight >= 0).all()) for p in network.projections if p.nonnegative)
        if "calibrated" in strategy or strategy == "lsuv":
            assert all(row["free_sigma"] == pytest.approx(1.0, rel=0.02) for row in rows)
            shown = [row["free_sigma_time"] / row["free_sigma"] for row in rows[-1:]]
            assert all(0.2 < share < 1.2 for share in shown), "of the steady state, by the trial"
        if strategy.startswith("fluct_rate"):
            first = len(network.layers[0])
            assert rows[0]["free_sigma"] == pytest.approx(1.0, rel=0.02)
            for i, row in enumerate(rows):
                assert row["rate"] == pytest.approx(rows[i % first]["rate"], rel=0.1)
                assert (row["target_sigma_u"] is None) == (i >= first)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_closed_form_puts_a_layer_on_target(recurrent):
    """On Poisson input; the spread over time, averaged over neurons. (Correlated excitation and
    inhibition make Dale's spread smaller.)
    """
    inputs = spikes((300,), counts=True, steps=800)
    _, rows = initialized(
        partial(dense, hidden=200, recurrent=recurrent),
        Fluct(sigma_u=1.0, alpha=0.9),
        inputs,
    )
    assert rows[0]["target_sigma_u"] == 1.0
    assert rows[0]["free_sigma"] == pytest.approx(rows[0]["theory_sigma_u"], rel=0.05)
    if not recurrent:
        assert rows[0]["free_sigma"] == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_theory_and_probe_describe_the_leaky_membrane_of_every_kind(kind):
    inputs, model = spikes((300,), counts=True, steps=400), partial(dense, neuron=KINDS[kind]())
    _, rows = initialized(partial(model, hidden=150), Fluct(sigma_u=0.8), inputs)
    assert rows[0]["theory_sigma_u"] == pytest.approx(0.8, rel=0.02)
    assert rows[0]["free_sigma"] == pytest.approx(0.8, rel=0.05)
    _, rows = initialized(partial(model, hidden=[60, 50]), FluctCalibrated(sigma_u=0.8), inputs)
    assert [row["free_sigma"] for row in rows[:2]] == pytest.approx([0.8, 0.8], rel=0.02)


def poisson_driven(strategy, inputs):
    """(moments, network, rows of the probe) of a layer of neurons that differ."""
    network, rows = initialized(partial(dense, neuron=DIFFERENT, hidden=150), strategy, inputs)
    activity = ReferenceEngine().simulate(network, inputs, record=("moments",))
    return activity.moments["h1"], network, rows


@pytest.mark.slow
def test_each_neuron_is_on_target_whatever_its_time_constants():
    """On Poisson input. A row of weights has the wanted E[W^2] but for its own random numbers, the
    rise to its mean counts as spread, and two draws from the same numbers differ by their mean.
    """
    inputs = spikes((900,), counts=True, steps=1500)
    moments, network, rows = poisson_driven(Fluct(sigma_u=0.8), inputs)
    sigma = moments.free_temporal.sqrt().numpy()
    np.testing.assert_allclose(sigma, 0.8, rtol=0.3)
    assert sigma.mean() == pytest.approx(0.8, rel=0.02)
    assert np.abs(np.corrcoef(sigma, network.hidden[0].taus)[0, 1:]).max() < 0.3
    assert rows[0]["target_sigma_u"] == 0.8
    assert rows[0]["free_sigma"] == pytest.approx(rows[0]["theory_sigma_u"], rel=0.02)
    kaiming = poisson_driven(Kaiming(), inputs)[0].free_temporal.sqrt().numpy()
    assert kaiming.std() / kaiming.mean() > 5 * sigma.std() / sigma.mean()
    shifted, _, rows = poisson_driven(FluctMu(mu_u=0.2, xi=1.0), inputs)
    np.testing.assert_allclose(shifted.free_mean - moments.free_mean, 0.2, rtol=0.1)
    assert rows[0]["theory_mu_u"] == pytest.approx(rows[0]["free_mean"], abs=0.02)
    np.testing.assert_allclose(shifted.free_temporal.sqrt(), 0.8, rtol=0.3)


@pytest.mark.parametrize("steps", [25, 50])
@pytest.mark.parametrize("mu_u", [0.0, 0.5])
def test_a_short_trial_is_measured_in_units_of_what_it_shows(steps, mu_u):
    """On Poisson input from rest: 0.5 to 0.9 of the spread of the steady state, or more where the
    potential rises to a mean, and theory and measurement speak of the same number.
    """
    inputs = spikes((300,), counts=True, steps=steps)
    strategy = FluctMu(mu_u=mu_u, xi=1.0) if mu_u else Fluct()
    rows = initialized(partial(dense, hidden=60), strategy, inputs)[1]
    assert rows[0]["free_sigma"] == pytest.approx(rows[0]["theory_sigma_u"], rel=0.1)
    assert not mu_u or rows[0]["free_sigma_time"] > 0.6 * rows[0]["free_sigma"]
    assert mu_u or rows[0]["free_sigma_time"] < 0.95 * rows[0]["free_sigma"]


def test_under_dale_each_neuron_has_the_variance_and_the_balance_of_the_theory():
    """Of the drawn weights, neuron by neuron: excitation and inhibition cancel, sigma_u is 1."""
    inputs = spikes((2000,))
    network = drawn(
        partial(dale, neuron=DIFFERENT, excitatory=2000, inhibitory=2000), Fluct(nu=NU), inputs
    )
    population = network.hidden[0]
    mean = variance = excitation = np.zeros(1)
    for projection in network.afferents("e1"):
        integrals = [
            psp_kernel_integrals(n.tau_mem, n.tau_syn[projection.channel], DT)
            for n in population.neurons
        ]
        eps_bar, eps_hat = np.array(integrals).T
        weight = projection.weight.detach().double().numpy()
        of_this = NU * eps_bar * weight.sum(1)
        mean = mean + population.neuron.signs[projection.channel] * of_this
        excitation = excitation + of_this * (projection.channel == 0)
        variance = variance + NU * eps_hat * np.square(weight).sum(1)
    np.testing.assert_allclose(variance, 1.0, rtol=0.3)
    assert variance.mean() == pytest.approx(1.0, rel=0.01)
    assert np.abs(np.corrcoef(variance, population.taus)[0, 1:]).max() < 0.1
    assert np.abs(mean / excitation).max() < 0.15


@pytest.mark.parametrize(("nu", "scale"), [(NU / 4, 2.0), ({"input": NU * 4}, 0.5)])
def test_nu_as_a_number_or_by_source_scales_the_weights(nu, scale):
    inputs = INPUTS["events"]((1, 16))
    measured, given = (
        drawn(MODELS["dense"], Fluct(nu=value), inputs) for value in (rate(inputs), nu)
    )
    ratio = given.projections[0].weight / measured.projections[0].weight
    torch.testing.assert_close(ratio, torch.full_like(ratio, scale * (rate(inputs) / NU) ** 0.5))


def test_excitation_and_inhibition_cancel():
    """With every rate as measured, the mean potential is below 10 % of what excitation alone would
    make of it.
    """
    inputs = spikes((200,), steps=200)
    network, rows = initialized(
        partial(dale, excitatory=256, inhibitory=128), Fluct(nu="propagate"), inputs
    )
    rates = {"input": rate(inputs)} | {row["population"]: row["rate_passed"] for row in rows}
    for population, row in zip(network.hidden, rows, strict=False):
        excitatory = 0.0
        for projection in network.afferents(population.name):
            if projection.channel == 0:
                eps_bar, _ = psp_kernel_integrals(
                    population.neuron.tau_mem, population.neuron.tau_syn[0], DT
                )
                excitatory += (
                    projection.fan_in
                    * float(projection.weight.detach().mean())
                    * rates[projection.source]
                    * eps_bar
                )
        assert excitatory > 1
        assert abs(row["free_mean"]) < 0.1 * excitatory


@pytest.mark.parametrize(("strategy", "gain"), GAINS)
def test_gains_of_the_field(strategy, gain):
    """IKUN: 1 / integral_0^1 dv / (20 v + 1)^2 = 21. SpyTorch: its own membrane reaches with its
    own weights the potential that ours reaches.
    """
    network = drawn(MODELS["dense"], strategy, INPUTS["events"]((1, 16)))
    weight = network.projections[1].weight.detach()
    assert float(weight.std() * weight.shape[1] ** 0.5) == pytest.approx(gain, rel=0.05)
    assert (strategy.baseline, Fluct().baseline) == (True, False)


@pytest.mark.parametrize("neuron", [lif(), DIFFERENT])
def test_micheli_gives_every_neuron_a_standard_normal_step(neuron):
    """Monte Carlo: sources that spike where a standard normal u > 1, as in the layer below."""
    network = drawn(partial(dense, neuron=neuron, hidden=200), Micheli(), INPUTS["events"]((300,)))
    weight, taus = network.projections[0].weight.detach(), network.hidden[0].taus
    tau_mem = torch.tensor(taus[0] if taus else neuron.tau_mem)
    below = torch.randn(2000, 300, generator=torch.Generator().manual_seed(0))
    step = (1 - torch.exp(-DT / tau_mem)) * ((below > 1).float() @ weight.T)
    second = step.square().mean(0)
    assert float(second.mean()) == pytest.approx(1, rel=0.1)
    if taus:
        assert abs(np.corrcoef(second, tau_mem)[0, 1]) < 0.2


@pytest.mark.parametrize("model", ["recurrent", "conv_recurrent", "different"])
def test_kaiming_scaled_is_kaiming_over_what_each_membrane_scales_by(model):
    inputs = INPUTS["events"](SHAPES["line"])
    plain, scaled = (drawn(MODELS[model], each, inputs) for each in (Kaiming(), KaimingScaled()))
    *hidden, readout = zip(plain.projections, scaled.projections)
    for one, other in hidden:
        target = next(p for p in scaled.hidden if p.name == one.target)
        tau_mem = torch.tensor(target.taus[0] if target.taus else [20e-3], dtype=torch.float64)
        factor = -torch.expm1(-DT / tau_mem).view(-1, *[1] * (one.weight.dim() - 1))
        assert torch.allclose(other.weight.double() * factor, one.weight.double(), rtol=1e-6)
    assert torch.equal(readout[0].weight, readout[1].weight)


@pytest.mark.parametrize("strategy", [KaimingScaled(), IkunScaled()])
def test_a_refused_initial_state_has_the_name_it_was_chosen_by(strategy):
    with one_line(rf"init={'kaiming' if isinstance(strategy, Kaiming) else 'ikun'}_scaled draws"):
        drawn(MODELS["dale"], strategy, INPUTS["events"](SHAPES["line"]))


def test_the_readout_is_the_same_behind_every_initialization():
    readouts = [
        drawn(MODELS["dense"], STRATEGIES[name], INPUTS["events"]((1, 16))).projections[-1]
        for name in ("fluct", "kaiming", "orthogonal", "fluct_calibrated")
    ]
    assert all(torch.equal(readouts[0].weight, other.weight) for other in readouts)


@pytest.mark.slow
def test_rates_are_those_behind_pooling():
    """Poisson input, three convolutions, pooling behind the second, which more than doubles the
    rate. The trial is long, since the spread over time counts the rise to a neuron's mean.
    """
    x = np.random.default_rng(0).poisson(20 * DT, (BATCH, 400, 2, 8, 8)).astype(np.uint8)

    model = partial(conv, filters=16, depth=3, pool=(1, 2, 1))
    *rows, _ = initialized(model, Fluct(nu="propagate"), Frames(x))[1]
    assert rows[1]["rate_passed"] > 2 * rows[1]["rate"]
    for row in rows:
        assert row["theory_sigma_u"] == pytest.approx(1.0, rel=0.15)
        assert row["free_sigma"] == pytest.approx(row["theory_sigma_u"], rel=0.15)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (20, r"no scale gives h\d+ for .* Hz of h1 within 10 %; lengthen the trial"),
        pytest.param(200, None, marks=pytest.mark.slow),
    ],
)
def test_rates_stay_equal_over_many_layers_where_the_trial_is_long_enough(steps, reason):
    inputs = spikes((60,), steps=steps)

    model = partial(dense, hidden=40, depth=16)
    if reason:
        with one_line(reason):
            initialized(model, FluctRate(), inputs)
        return
    *rows, _ = initialized(model, FluctRate(), inputs)[1]
    for row in rows:
        assert row["rate"] == pytest.approx(rows[0]["rate"], rel=0.02)
    *others, _ = initialized(model, FluctCalibrated(), inputs)[1]
    assert min(row["rate"] for row in others) < 0.8 * others[0]["rate"]


def test_identity_is_a_share_of_the_squares_of_the_weights():
    model = partial(conv, filters=(30, 12, 20), skip=True)
    inputs = INPUTS["events"](SHAPES["image"])
    random = drawn(model, FluctRate(), inputs)
    handing_on = drawn(model, FluctRate(identity=0.6), inputs)
    for before, after in zip(random.projections, handing_on.projections):
        w, v = before.weight.detach(), after.weight.detach()
        if before.source == "input" or before.target == "readout":
            torch.testing.assert_close(w, v)
            continue
        i = torch.arange(len(w))
        own = i, i % w.shape[1], 1, 1
        ratio = v / w
        ratio[own] = torch.nan
        factor = ratio.nanmean() / 0.4**0.5  # of equalize
        size = w.flatten(1).norm(dim=1)
        expected = factor * (0.4**0.5 * w[own] + 0.6**0.5 * size)
        torch.testing.assert_close(v[own], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_identity_keeps_samples_apart_over_many_layers():
    """The distances between samples in the last layer, by those in the first."""
    values = np.random.default_rng(0).normal(size=(BATCH, 60)).astype(np.float32)
    inputs = Constant(values, 200)

    def kept(identity):
        model = partial(dense, hidden=40, depth=12)
        network = drawn(model, FluctRate(identity=identity), inputs)
        counts = ReferenceEngine().simulate(network, inputs).counts
        apart = [torch.pdist(counts[name].double()) for name in ("h1", "h12")]
        return float(torch.corrcoef(torch.stack(apart))[0, 1])

    assert kept(0.0) < 0.55 < 0.8 < kept(0.95)  # 0.51 on AMD


def test_calibration_says_which_layer_gets_no_input():
    silent = Events(np.zeros(BATCH * STEPS + 1, np.int64), np.zeros(0, np.int32), (16,), STEPS)
    network = dense((16,), CLASSES, STEPS, DT, hidden=8)
    with one_line("h1 gets no input"):
        compared.drawn(network, FluctCalibrated(), silent, 10.0)


@pytest.mark.parametrize(
    ("nu", "message"),
    [
        ({"h9": 3.0}, "init.nu names h9; the sources of this network are input, h1, h2"),
        ("fast", "init.nu = 'fast': give a rate in Hz"),
    ],
)
def test_a_wrong_nu_is_refused(nu, message):
    with one_line(message):
        initialized(MODELS["dense"], Fluct(nu=nu), INPUTS["events"]((1, 16)))
