"""What an initialization is: the interface between strategies and those who use them, and how one
draws the weights of a whole network, layer by layer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdi.config import Mistake
from fdi.config.metric import in_percent
from fdi.data.inputs import Constant, Input
from fdi.init.theory import Trial, psp_kernel_integrals, response, spread, trial, trial_of
from fdi.snn.neuron import INPUT

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from fdi.snn.network import Activity, Network, Projection
    from fdi.snn.neuron import Neuron, Population


Afferents = Sequence["Projection"]
Measure = Callable[["Network"], "Activity"]


@dataclass(frozen=True)
class Drawing:
    """What a strategy draws at once: the weights of all `afferents` of a `population`.

    `rates`: what the population sees of each source, behind its pooling, in Hz by the name of the
    projection; `dt` in s; `generator`: where the random numbers come from.
    """

    population: Population
    afferents: Afferents
    rates: dict[str, float]
    dt: float
    generator: Generator


def obeys_dale(afferents: Afferents) -> bool:
    """Whether Dale's law forbids weights of both signs in any of these projections."""
    return any(projection.nonnegative for projection in afferents)


def both_signs(what: str, instead: str) -> str:
    """Why Dale's law forbids what draws weights of both signs."""
    return f"{what} draws weights of both signs, and Dale's law forbids them; use {instead}"


def column(values: Sequence[float], weight: Tensor) -> Tensor:
    """One number for each row of weights."""
    return weight.new_tensor(values).view(-1, *[1] * (weight.dim() - 1))


class Strategy(ABC):
    """Fills the weights of a network, layer by layer from the input up.

    `nu`: which rates the sources are taken to fire at, see fdi.init.strategy; None if it does not
    matter. `baseline`: is it one of those that fluctuation-driven initialization is compared with?
    `target_in_first_layer_only`: do further layers aim at something else than `target`?
    `homeostatic`: is it fdi.init.homeostatic.Homeostatic?
    A strategy works on every architecture or refuses with a ValueError of one sentence. One of your
    own inherits from this class, and needs `draw` alone.
    """

    nu: Any = None
    baseline: ClassVar[bool] = False
    target_in_first_layer_only: ClassVar[bool] = False
    homeostatic: ClassVar[bool] = False

    @abstractmethod
    def draw(self, drawing: Drawing) -> None:
        """Fill the weights of all afferents of one population."""

    def forbidden(self) -> str:
        """Why Dale's law forbids it, "" where it does not."""
        return ""

    def refuse_dale(self, afferents: Afferents) -> None:
        """Raises fdi.Mistake where Dale's law holds and forbids it."""
        if obeys_dale(afferents) and (why := self.forbidden()):
            raise Mistake(why)

    def check(self, network: Network) -> None:  # noqa: B027
        """Raises fdi.Mistake where it has no weights for the network."""

    def takes_readout(self) -> bool:
        """Whether it fills the weights onto the readout, too."""
        return False

    def target(self, population: Population) -> tuple[float | None, float | None]:
        """The mean and spread of the free potential that it aims at; None for what it does not aim
        at.
        """
        return None, None

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:  # noqa: B027
        """Mend the last layer of `network` by measuring it; `analogue`: it hears an analogue
        input.
        """


TOLERANCE = 0.02
ROUNDS = 24  # forward passes, at most, until a spread is reached
HALVED = 6  # of them, behind which a spread is not taken to be linear in the weights


class Approach:
    """Factors for the afferents of one population, round after round.

        factor = (target / spread)^p

    p = 1 where the spread is linear in the weights. Recurrence makes it depend on the rate it
    causes: behind six of the rounds p = 1/2 and, once the spread jumped over the target, the
    power that would have met it (regula falsi in logarithms).
    """

    def __init__(self, fixed: float) -> None:
        self.fixed = fixed
        self.round = 0
        self.power = 1.0
        self.missed = 0.0

    def factor(self, wanted: float, reached: float) -> float:
        ratio = wanted / reached
        if self.fixed:
            own = max(reached**2 - self.fixed**2, 1e-4 * reached**2)
            ratio = math.sqrt((wanted**2 - self.fixed**2) / own)
        miss = math.log(ratio)
        if self.round == HALVED:
            self.power = 0.5
        elif self.round > HALVED and miss * self.missed < 0:
            self.power *= self.missed / (self.missed - miss)
        self.round += 1
        self.missed = miss
        return ratio**self.power


def calibrate(network: Network, measure: Measure, sigma_u: float, analogue: bool) -> None:
    """Scale the afferent weights of each population of the last layer, or the gain of its
    normalization, until its spread, see `measured_spread`, is sigma_u within 2 %.

    One factor a population keeps the shares of its projections (alpha, and the balance of Dale's
    law). Raises fdi.Mistake if a population gets no input or does not settle within 24 forward
    passes.
    """
    layer = network.layers[-1]
    approaches = {p.name: Approach(_fixed(network, p, measure, sigma_u, analogue)) for p in layer}
    for _ in range(ROUNDS):
        activity = measure(network)
        spreads = {p.name: measured_spread(network, p, activity, analogue) for p in layer}
        for name, reached in spreads.items():
            if not reached > 0:
                raise Mistake(
                    f"{name} gets no input in the measured batch, or a constant one, so no scale "
                    f"of its weights makes its spread sigma_u = {sigma_u}; raise init.sigma_u, so "
                    f"that the layer below fires, or check the data"
                )
        if all(abs(reached / sigma_u - 1) < TOLERANCE for reached in spreads.values()):
            return
        for name, reached in spreads.items():
            network.scale(name, approaches[name].factor(sigma_u, reached))
    found = ", ".join(f"{name} at {reached:.3g}" for name, reached in spreads.items())
    raise Mistake(
        f"sigma_u = {sigma_u} is not reached within {ROUNDS} rounds ({found}); raise init.alpha "
        f"or lower init.sigma_u"
    )


FAINT = 1e-6  # a factor that makes weights count for nothing


def _fixed(
    network: Network, population: Population, measure: Measure, sigma_u: float, analogue: bool
) -> float:
    """The spread that a population has of what is not scaled. Raises fdi.Mistake if it is too
    large.
    """
    if not (names := network.fixed.get(population.name)):
        return 0.0
    network.scale(population.name, FAINT)
    fixed = measured_spread(network, population, measure(network), analogue)
    network.scale(population.name, 1 / FAINT)
    if not fixed < sigma_u:
        raise Mistake(
            f"{population.name}: what is not scaled ({', '.join(names)}) makes its spread "
            f"{fixed:.3g} by itself; raise sigma_u = {sigma_u:.3g}, or scale that connection"
        )
    return fixed


PASSES = 12  # forward passes, at most, until a rate is reached
FARTHEST = math.log(4)  # times the rate, at most, in one: how silent a layer is is not known
RATE_TOLERANCE = 0.1  # of the wanted rate, where a scale changes whole bursts of spikes
UNKNOWN = (-math.inf, 0.0), (math.inf, 0.0)  # scales that are too small, too large
NARROW = 1e-3  # two scales so close do not bracket the rate: another population has moved it


class RateSearch:
    """The scale (a logarithm) of the afferents of one population that gives it a rate, which grows
    with the scale in an unknown way: as its square at first, then by interpolation between a scale
    that was too small and one that was too large.
    """

    def __init__(self) -> None:
        self.scale, (self.short, self.over) = 0.0, UNKNOWN

    def factor(self, miss: float) -> float:
        """Of this round; `miss`: log of wanted / measured."""
        here = self.scale
        if miss > 0:
            self.short = here, miss
        else:
            self.over = here, miss
        (low, below), (high, above) = self.short, self.over
        if high - low < NARROW:
            self.short, self.over = UNKNOWN
        if NARROW <= high - low < math.inf:
            part = below / (below - above)
            self.scale = low + min(0.9, max(0.1, part)) * (high - low)
        else:
            self.scale += miss / 2
        return math.exp(self.scale - here)


def equalize(network: Network, measure: Measure) -> None:
    """Scale the afferent weights of each population of the last layer, or the gain of its
    normalization, until it fires as often as the population at its place in the first layer within
    2 %, or within 10 % where 12 forward passes find nothing closer.

        mean_j,b N_jb = mean_i,b N^(1)_ib

    N: spikes of a neuron in a trial. Raises fdi.Mistake if the first layer is silent, or the rate
    does not come as close: every layer answers some steps later than the one below, so the last
    ones of a deep network have no time left in a short trial.
    """
    first, layer = network.layers[0], network.layers[-1]
    wanted = {p.name: first[min(i, len(first) - 1)].name for i, p in enumerate(layer)}
    searches = {name: RateSearch() for name in wanted}
    closest, kept = math.inf, {}
    for _ in range(PASSES):
        activity = measure(network)
        spikes = {p.name: float(activity.counts[p.name].double().mean()) for p in network.hidden}
        if silent := [other for other in wanted.values() if not spikes[other] > 0]:
            raise Mistake(
                f"{silent[0]} fires no spike in the measured batch, and further layers are to fire "
                f"as often; raise init.sigma_u"
            )
        misses = {
            name: min(FARTHEST, math.log(spikes[one] / spikes[name])) if spikes[name] else FARTHEST
            for name, one in wanted.items()
        }
        worst = max(map(abs, misses.values()))
        if worst < closest:
            closest, kept = worst, {name: search.scale for name, search in searches.items()}
        if worst < TOLERANCE:
            return
        for name, miss in misses.items():
            network.scale(name, searches[name].factor(miss))
    for name, search in searches.items():
        network.scale(name, math.exp(kept[name] - search.scale))
    if closest >= RATE_TOLERANCE:
        trial = len(activity.readout) * network.dt
        rates = ", ".join(
            f"{name} for {spikes[one] / trial:.3g} Hz of {one}" for name, one in wanted.items()
        )
        raise Mistake(
            f"no scale gives {rates} within {in_percent(RATE_TOLERANCE)}; lengthen the trial ("
            f"dataset.steps), since each layer answers later than the one below, or use fewer "
            f"layers"
        )


def measured_spread(
    network: Network, population: Population, activity: Activity, analogue: bool
) -> float:
    """The spread of a population's free potential that sigma_u stands for, see
    `fdi.init.theory.spread`; `analogue`: the population hears an analogue input.

        risen = Var_m(mean_j course_0[m] + sum_c mean_cj (course_c[m] - course_0[m]))

    mean_c: of the part of the potential that arrives through another channel c, such as inhibition.
    """
    moments = activity.moments[population.name]
    mean, temporal, across = (
        each.cpu().double()
        for each in (moments.free_mean, moments.free_temporal, moments.free_across)
    )
    if population.name in network.norms:
        return spread(mean, temporal, across, None, analogue)
    afferents, steps = network.afferents(population.name), len(activity.readout)

    def of(channel: int) -> Trial:
        columns = zip(
            *(trial_of(n, channel, network.dt, steps, network.delay) for n in population.neurons)
        )
        values = (mean.new_tensor(np.array(column)) for column in columns)
        return Trial(*(v.reshape(-1, *[1] * (mean.dim() - 1), *v.shape[1:]) for v in values))

    channels, risen = [projection.channel for projection in afferents] or [0], None
    first = of(channel := min(channels))
    share = sum(of(each).share for each in channels) / len(channels)
    if others := [p for p in afferents if p.channel != channel and p.source != INPUT]:
        course = mean[..., None] * first.course
        for p in others:
            part = population.neuron.signs[p.channel] * _arriving(p, activity) / steps
            other = of(p.channel)
            course = course + (part * other.mean)[..., None] * (other.course - first.course)
        risen = course.var(-1, correction=0)
    return spread(mean, temporal, across, first._replace(share=share), analogue, risen)


def _arriving(projection: Projection, activity: Activity) -> Any:
    """The input of a trial through a projection, mean over samples, [*shape]."""
    counts = (activity.counts if projection.recurrent else activity.passed)[projection.source]
    arriving = projection(counts.to(projection.weight).mean(0, keepdim=True))[0]
    return arriving.detach().cpu().double()


NO_CHANGE = (
    "the input is the same in all samples and steps, so no weights make a potential fluctuate; "
    "check the data"
)


def rate_of_equal_spread(inputs: Iterable[Input], neuron: Neuron, dt: float) -> float:
    """The rate nu in Hz of Poisson spikes that spread the potential as much as these analogue
    `inputs` do, in blocks of samples, through weights of mean 0: each unit's response through a
    weight of 1 is measured as a potential is, see `spread`.

        Var(U) = n sigma_w^2 spread^2 = n sigma_w^2 nu eps_hat
    """
    from scipy.signal import oaconvolve  # which takes time to load

    kernel, samples, sums = response(neuron.tau_mem, neuron.tau_syn[0], dt), 0, [0.0, 0.0, 0.0]
    for block in inputs:
        steps = 1 if isinstance(block, Constant) else block.steps
        if isinstance(block, Constant):
            mean = block.image(np.float64) * kernel.sum()
            variance = np.zeros_like(mean)
        else:
            rows = kernel[:steps].reshape(-1, *[1] * (len(block.shape) + 1))
            u = oaconvolve(block.dense(np.float64), rows, axes=0)[:steps]
            mean, variance = u.mean(0), u.var(0)
        samples += len(block)
        sums = [total + part.sum(0) for total, part in zip(sums, (mean, mean**2, variance))]
    mean, square, temporal = (total / samples for total in sums)
    shown = None if isinstance(block, Constant) else trial(kernel, steps)
    sigma = spread(mean, temporal, square - mean**2, shown, analogue=True)
    if not sigma > 0:
        raise Mistake(NO_CHANGE)
    return sigma**2 / psp_kernel_integrals(neuron.tau_mem, neuron.tau_syn[0], dt)[1]


SETTLED = 0.02
REDRAWS = 20
LARGER = "draw larger weights (init.sigma_u), or set init.nu to a rate in Hz"
SPIKES = (
    "a constant input through weights of one sign can hold all below threshold, whatever sigma_u "
    "is; give it as spikes: dataset.encoding=poisson"
)


def draw_weights(
    network: Network,
    strategy: Strategy,
    readout: Strategy,
    *,
    nu_input: float,
    measure: Measure,
    generator: Generator,
    analogue: bool = False,
) -> None:
    """Fill every weight of `network`: `strategy` for the hidden layers from the input up, `readout`
    for the readout, from random numbers that do not depend on the `strategy`.

    `nu_input`: rate of the input in Hz, or of an `analogue` input the rate of equal spread.
    `measure(network)` simulates a batch of training data and returns an Activity with moments; it
    is called with the layers drawn so far, by strategies that measure.

    The strategy's `nu` says which rate the sources are taken to fire at: "auto" the input's for all
    (as the authors), a number for all, a mapping from source names to numbers, or "propagate", the
    rate that each layer is measured to pass on, behind its pooling; "auto" is "propagate" behind an
    analogue input, which has no rate to hand on, and one of more than a spike in a step, which no
    layer can hand on. A recurrent layer's own rate depends on its
    weights: they are drawn again from the same random numbers until they cause the rate they were
    drawn for within 2 %, at most 20 times.
    """
    import torch  # the type of a strategy is read without it

    for_readout = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    rates = _assumed(strategy.nu, network, nu_input)
    propagate = strategy.nu == "propagate" or (
        strategy.nu == "auto" and (analogue or nu_input * network.dt > 1)
    )
    advice = SPIKES if analogue and obeys_dale(network.projections) else LARGER
    asked = f"init.nu = {strategy.nu}{', for this input' if strategy.nu == 'auto' else ''}"
    for i, layer in enumerate(network.layers):
        afferents = [p for population in layer for p in network.afferents(population.name)]
        names = [population.name for population in layer]
        recurrent = [p.name for p in afferents if p.recurrent and p.source in names]
        why = f"({asked}); {advice}"
        if altered := [p for p in afferents if p.altered and strategy.nu in ("auto", "propagate")]:
            activity = measure(network.up_to(i + 1))
            rates |= {p.name: _rate(activity, p, network.dt, why) for p in altered}
        if propagate:
            below = next((rates[p.name] for p in afferents if not p.recurrent), nu_input)
            rates |= dict.fromkeys(recurrent, below)
        hears_input = any(projection.source == INPUT for projection in afferents)
        start = generator.get_state()
        for _ in range(REDRAWS):
            generator.set_state(start)
            for population in layer:
                afferents_of = network.afferents(population.name)
                strategy.draw(Drawing(population, afferents_of, rates, network.dt, generator))
            strategy.correct(network.up_to(i + 1), measure, analogue and hears_input)
            if not propagate:
                break
            activity = measure(network.up_to(i + 1))
            measured = {
                projection.name: _rate(activity, projection, network.dt, why)
                for projection in network.projections
                if projection.source in names
            }
            settled = all(abs(measured[name] / rates[name] - 1) < SETTLED for name in recurrent)
            rates |= measured
            if settled:
                break
    if not propagate:
        rates = _assumed(readout.nu, network, nu_input)
    onto_readout = network.afferents(network.readout.name)
    readout.draw(Drawing(network.readout, onto_readout, rates, network.dt, for_readout))


def seen(activity: Activity, projection: Projection, dt: float) -> float:
    """The rate in Hz at which the targets of a projection see its source: behind pooling, unless
    they are in the same layer.
    """
    counts = activity.counts if projection.recurrent else activity.passed
    here = projection.name if projection.name in counts else projection.source
    return float(counts[here].double().mean()) / (len(activity.readout) * dt)


def _assumed(nu: Any, network: Network, nu_input: float) -> dict[str, float]:
    """The rates in Hz that weights are drawn for, by the name of the projection."""
    sources = [INPUT, *(population.name for population in network.hidden)]
    if isinstance(nu, Mapping):
        if unknown := set(nu) - set(sources):
            raise Mistake(
                f"init.nu names {', '.join(sorted(unknown))}; the sources of this network are "
                f"{', '.join(sources)}"
            )
        return {p.name: float(nu.get(p.source, nu_input)) for p in network.projections}
    rate = nu_input if nu in (None, "auto", "propagate") else nu
    try:
        return dict.fromkeys([projection.name for projection in network.projections], float(rate))
    except (TypeError, ValueError):
        raise Mistake(
            f"init.nu = {nu!r}: give a rate in Hz, auto, propagate, or a rate for each source"
        ) from None


def _rate(activity: Activity, projection: Projection, dt: float, why: str) -> float:
    rate = seen(activity, projection, dt)
    if rate == 0:
        raise Mistake(
            f"{projection.source} fires no spike, and the weights of its targets are drawn for its "
            f"rate {why}"
        )
    return rate
