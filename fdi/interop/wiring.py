"""Which weights of a network of another library reach which neuron: followed through a run, or read
from the order of an nn.Sequential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from fdi.config import Mistake
from fdi.interop.neurons import keeps_state, library, spikes_unknown

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_OF_BATCHES = (nn.BatchNorm1d.mro()[1], nn.InstanceNorm1d.mro()[1])  # what all of a kind are
_NORMS = (*_OF_BATCHES, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_LIKE = (torch.zeros_like, torch.ones_like, torch.full_like, torch.empty_like, torch.rand_like)
_OPAQUE = ("LinearRecurrentContainer", "ElementWiseRecurrentContainer")


class Unwritable(Mistake):
    """A layer does not keep the weights that are written to it."""


@dataclass(eq=False)
class Weights:
    """A weight tensor on its way to a neuron; `layers` share it, under the names of `name`.

    `autapses`: False if a neuron's weight onto itself is to stay 0. `inside`: a neuron holds it for
    its own recurrence. `upstream`: where its input comes from. `pooled`: what its output passes.
    """

    name: str
    layers: list[nn.Module]
    attribute: str = "weight"
    inside: bool = False
    autapses: bool = True
    upstream: set[Source] = field(default_factory=set)
    pooled: set[str] = field(default_factory=set)

    @property
    def fan_in(self) -> int:
        """Synapses of a neuron, those that pruning leaves; on average where neurons differ."""
        mask = self._mask()
        if mask is not None:
            return max(1, round(float(mask.sum()) / len(mask)))
        return self.read()[0].numel() - (not self.autapses)

    @property
    def heard(self) -> set[Source]:
        return self.upstream

    def read(self) -> Tensor:
        return getattr(self.layers[0], self.attribute).detach()

    def tensors(self) -> list[Tensor]:
        """The parameters that the weights are, or are computed from."""
        if self.attribute != "weight":
            return [getattr(self.layers[0], self.attribute)]
        return [p for name, p in self.layers[0].named_parameters() if not name.startswith("bias")]

    @torch.no_grad()
    def write(self, values: Tensor) -> None:
        """Through a parametrization, a weight norm or the mask of pruning. Raises Unwritable if
        another tensor is read afterwards.
        """
        mask = self._mask()
        for layer in self.layers:
            self._write(layer, values)
        wanted = values if mask is None else values * mask
        if not torch.allclose(self.read(), wanted, rtol=1e-3, atol=1e-4 * float(wanted.std())):
            raise Unwritable(f"{self._how()} does not keep weights that are written to it")

    def draw(self, sigma_w: float, generator: torch.Generator | None) -> None:
        values = torch.empty_like(self.read()).normal_(0.0, sigma_w, generator=generator)
        if not self.autapses:
            values.fill_diagonal_(0.0)
        self.write(values)
        for layer in self.layers:
            for bias in (getattr(layer, "bias", None), getattr(layer, "bias_orig", None)):
                if isinstance(bias, Tensor):
                    bias.zero_()

    @torch.no_grad()
    def refusal(self) -> str:
        """Why new weights cannot be written, or "". Changes nothing."""
        before = Snapshot(self.layers)
        try:
            self.write(torch.randn(self.read().shape).to(self.read()) / self.fan_in**0.5)
        except Unwritable as error:
            return f"{error}; remove it while fdi draws the weights"
        finally:
            before.restore()
        return ""

    def _mask(self) -> Tensor | None:
        return getattr(self.layers[0], f"{self.attribute}_mask", None)

    def _how(self) -> str:
        layer: Any = self.layers[0]
        if parametrize.is_parametrized(layer, self.attribute):
            kinds = (type(step).__name__ for step in layer.parametrizations[self.attribute])
            return f"its parametrization ({', '.join(kinds)})"
        return "what computes its weights in each call"

    def _write(self, layer: Any, values: Tensor) -> None:
        if parametrize.is_parametrized(layer, self.attribute):
            try:
                setattr(layer, self.attribute, values)
            except (NotImplementedError, RuntimeError, ValueError) as error:
                raise Unwritable(f"{self._how()} does not take any weights") from error
            return
        if isinstance(getattr(layer, self.attribute), nn.Parameter):
            getattr(layer, self.attribute).copy_(values)
            return
        kept = _kept(layer, self.attribute)
        if not kept:
            raise Unwritable(f"{self._how()} does not keep weights that are written to it")
        scale, weights = kept
        weights.copy_(values)
        if isinstance(scale, nn.Parameter):
            scale.copy_(_length(values, scale))
        _recompute(layer)


@dataclass(eq=False)
class Norm:
    """A normalization between weights and neuron."""

    name: str
    layer: nn.Module
    upstream: set[Source] = field(default_factory=set)

    @property
    def gain(self) -> Tensor | None:
        return getattr(self.layer, "weight", None)

    @property
    def weights(self) -> list[Weights]:
        return [source for source in self.upstream if isinstance(source, Weights)]

    @property
    def heard(self) -> set[Source]:
        """Where the input of the weights before it comes from."""
        return set().union(*(weights.upstream for weights in self.weights)) or self.upstream


@dataclass(eq=False)
class Other:
    """Something with parameters that are not those of a layer or a normalization, or an activation.
    `reason`: why it is not changed, "" without parameters.
    """

    name: str
    kind: str
    reason: str
    upstream: set[Source] = field(default_factory=set)


@dataclass(eq=False)
class Population:
    """A neuron module in one place of the network. `calls`: which of its calls in a run these
    are, from 1; empty: all. `reason`: why its spread cannot be set, "" if it can.
    """

    name: str
    module: nn.Module
    sources: set[Source] = field(default_factory=set)
    calls: set[int] = field(default_factory=set)
    reason: str = ""

    @property
    def path(self) -> str:
        """Where the module is, without its class."""
        return self.name.rpartition(" (")[0]

    @property
    def hears_data(self) -> bool:
        parts = [part for part in self.sources if isinstance(part, Weights | Norm)]
        return DATA in self.sources or any(DATA in part.heard for part in parts)


Source = Weights | Norm | Other | Population
DATA = Population("the data", nn.Identity())
_NOTHING = Population("nothing that was seen", nn.Identity())  # a state before the first step


@dataclass
class Wiring:
    """`populations` in the order in which they are called, and all `layers`."""

    populations: list[Population]
    layers: list[Weights | Norm | Other]

    def afferents(self, population: Population) -> list[Weights | Norm | Other]:
        """What reaches a population, in the order of registration."""
        return [part for part in self.layers if part in population.sources]


class Snapshot:
    """Parameters and buffers as they were, but for the state of neurons."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.modules = [part for module in modules for part in module.modules()]
        self.tensors = [
            (part, name, tensor, tensor.detach().clone())
            for part in self.modules
            for name, tensor in _own_tensors(part).items()
            if isinstance(tensor, nn.Parameter) or not library(part)
        ]

    @torch.no_grad()
    def restore(self, parameters: bool = True) -> None:
        """Without `parameters` buffers alone, such as the statistics of a normalization."""
        for part, name, tensor, before in self.tensors:
            if parameters or not isinstance(tensor, nn.Parameter):
                tensor.copy_(before)
                setattr(part, name, tensor)
        for part in self.modules:
            _recompute(part)


def _own_tensors(layer: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a layer itself."""
    parameters = layer.named_parameters(recurse=False, remove_duplicate=False)
    return {**dict(parameters), **dict(layer.named_buffers(recurse=False, remove_duplicate=False))}


def _kept(layer: nn.Module, name: str) -> tuple[Tensor, Tensor] | None:
    """What weights are computed from before each call: the mask of pruning, or the gain of a weight
    norm that is no parametrization, and the weights themselves.
    """
    own = _own_tensors(layer)
    for scale, weights in (f"{name}_mask", f"{name}_orig"), (f"{name}_g", f"{name}_v"):
        if scale in own and weights in own:
            return own[scale], own[weights]
    return None


def _length(weights: Tensor, gain: Tensor) -> Tensor:
    """The norm of the weights that share a gain."""
    shared = [axis for axis, edge in enumerate(gain.shape) if edge == 1]
    return weights.norm(dim=shared or None, keepdim=bool(shared))


def _recompute(layer: nn.Module) -> None:
    """Weights that are computed before each call."""
    for name in {full.rpartition("_")[0] for full in _own_tensors(layer)}:
        if kept := _kept(layer, name):
            scale, weights = kept
            if isinstance(scale, nn.Parameter):
                scale = scale / _length(weights, scale)
            setattr(layer, name, scale * weights)


def follow(module: nn.Module, batch: Tensor, simulate: Callable[[Tensor], object]) -> Wiring:
    """What reaches what while `simulate(batch)` runs.

    Every operation of torch hands on where its operands come from, a layer or a neuron begins anew.
    Calls of one neuron that share a source are one population. Raises fdi.Mistake if none is
    called.
    """
    trace = _Trace(module)
    trace.origins[batch] = frozenset([DATA])
    try:
        with trace:
            simulate(batch)
    finally:
        for hook in trace.hooks:
            hook.remove()
    wiring = trace.wiring()
    if not wiring.populations:
        raise Mistake(
            f"{type(module).__name__}: no neuron of snnTorch, Norse, SpikingJelly or Sinabs is "
            f"called when the batch is simulated; check `simulate`"
        )
    return wiring


class _Trace(TorchFunctionMode):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.origins = WeakTensorKeyDictionary()
        self.inside = 0  # of a layer or a neuron
        self.called: list[Population] = []  # one for each call with sources of its own
        self.count: dict[nn.Module, int] = {}
        self.layers = _parts(module)
        hooked = ("weight_orig", "weight_g", "weight_v")  # read before the layer is called
        self.parameters = {
            id(p): name for name, p in module.named_parameters() if not name.endswith(hooked)
        }
        self.hooks: list[RemovableHandle] = []
        for name, part in _leaves(module):
            self._watch(name, part)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if getattr(func, "__name__", "").startswith("new_") or func in _LIKE:
            return out
        tensors = list(_tensors((args, tuple(kwargs.values()))))
        origin = self._origin(tensors)
        if not self.inside:
            for tensor in tensors:
                if id(tensor) in self.parameters:
                    name = self.parameters[id(tensor)]
                    origin |= {self._unknown(name, "is not the weight of a layer that is called")}
        if origin and not isinstance(out, torch.Size | int | bool | float):
            into = args[:1] if func is Tensor.__setitem__ else ()
            for tensor in _tensors((out, into)):
                self.origins[tensor] = origin | self.origins.get(tensor, frozenset())
        return out

    def wiring(self) -> Wiring:
        places: dict[nn.Module, list[Population]] = {}
        for call in self.called:
            own = places.setdefault(call.module, [])
            joined = Population(call.name, call.module, set(call.sources), set(call.calls))
            joined.reason = call.reason
            for other in list(own):
                if other.sources & call.sources or not (other.sources and call.sources):
                    own.remove(other)
                    joined.sources |= other.sources
                    joined.calls |= other.calls
            own.append(joined)
        same: dict[Source, Population] = {
            call: next(p for p in places[call.module] if call.calls <= p.calls)
            for call in self.called
        }
        populations = list(dict.fromkeys(same[call] for call in self.called))
        for part in (*self.layers.values(), *populations):
            if isinstance(part, Population):
                part.sources = {same.get(source, source) for source in part.sources}
            else:
                upstream = {same.get(source, source) for source in part.upstream}
                part.upstream = upstream - {_NOTHING} or {DATA for _ in upstream}
        for module, own in places.items():
            if len(own) > 1 and keeps_state(module):
                for population in own:
                    population.reason = (
                        f"{population.name} is used in {len(own)} places with one state; give each "
                        f"a neuron of its own"
                    )
        return Wiring(populations, list(dict.fromkeys(self.layers.values())))

    def _origin(self, tensors: Iterable[Tensor]) -> frozenset[Source]:
        return frozenset().union(*(self.origins.get(tensor, ()) for tensor in tensors))

    def _unknown(self, name: str, reason: str) -> Source:
        return self.layers.setdefault(name, Other(name, "parameter", reason))

    def _watch(self, name: str, part: nn.Module) -> None:
        leaf = name in self.layers or library(part) or spikes_unknown(part)
        if not leaf and ("Pool" in type(part).__name__ or "Dropout" in type(part).__name__):
            self.hooks.append(part.register_forward_hook(self._passed(name)))
        if not leaf:
            return

        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.inside += 1

        def leave(_: nn.Module, args: Any, kwargs: dict[str, Any], out: Any) -> None:
            self.inside -= 1
            given = list(_tensors((args, tuple(kwargs.values()))))
            source: Source
            if name in self.layers:
                source = self.layers[name]
                source.upstream |= self._origin(given) or {_NOTHING}
            else:
                source = self._call(name, part, self._origin(given[:1]))
            for tensor in _tensors(out):
                self.origins[tensor] = frozenset([source])

        self.hooks.append(part.register_forward_pre_hook(enter, with_kwargs=True))
        self.hooks.append(part.register_forward_hook(leave, with_kwargs=True))

    def _call(self, name: str, neuron: nn.Module, origin: frozenset[Source]) -> Population:
        number = self.count[neuron] = self.count.get(neuron, 0) + 1
        for known in self.called:
            if known.module is neuron and known.sources == origin:
                known.calls.add(number)
                return known
        self.called.append(_population(name, neuron, set(origin), {number}))
        return self.called[-1]

    def _passed(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(part: nn.Module, args: Any, out: Any) -> None:
            for source in self._origin(_tensors(args)):
                if isinstance(source, Weights):
                    source.pooled.add(f"{name} ({type(part).__name__})")

        return hook


def _population(
    name: str, neuron: nn.Module, sources: set[Source], calls: set[int] | None = None
) -> Population:
    called = f"{name} ({type(neuron).__name__})"
    reason = "" if library(neuron) else f"{called}: fdi does not know how it integrates"
    return Population(called, neuron, sources, calls or set(), reason)


def in_order(module: nn.Module) -> Wiring:
    """What reaches what in a chain of nn.Sequential, where the order says it.

    Raises fdi.Mistake for other modules.
    """
    parts = _parts(module)
    populations: list[Population] = []
    waiting: set[Source] = set()
    for name, part in _leaves(module):
        kind = type(part).__name__
        if library(part) or spikes_unknown(part):
            populations.append(_population(name, part, waiting))
            waiting = {populations[-1]}
        elif name in parts:
            part_of = parts[name]
            part_of.upstream |= waiting or {DATA}
            waiting = {part_of}
        elif "Pool" in kind or "Dropout" in kind:
            for source in waiting:
                if isinstance(source, Weights):
                    source.pooled.add(f"{name} ({kind})")
    if not _is_chain(module) and parts:
        raise Mistake(
            f"{type(module).__name__} is not an nn.Sequential, so which layer feeds which neuron "
            f"shows only while it runs; give batch and simulate"
        )
    return Wiring(populations, list(dict.fromkeys(parts.values())))


def _is_chain(module: nn.Module) -> bool:
    children = [child for _, child in module.named_children()]
    if _is_leaf(module) or type(module).__name__ in _OPAQUE:
        return True
    return (isinstance(module, nn.Sequential) or len(children) == 1) and all(
        map(_is_chain, children)
    )


def _parts(module: nn.Module) -> dict[str, Weights | Norm | Other]:
    """By the name of the module: layers, those that share a tensor as one, normalizations, and
    other modules with parameters, or of which the output is not proportional to the input.
    """
    parts: dict[str, Weights | Norm | Other] = {}
    shared: dict[int, Weights] = {}
    for name, part in _leaves(module):
        kind = type(part).__name__
        if library(part) or spikes_unknown(part):
            continue
        if isinstance(part, _LAYERS):
            tensor = _underlying(part)
            if id(tensor) in shared:
                weights = shared[id(tensor)]
                weights.name += f", {name}"
                weights.layers.append(part)
            else:
                weights = shared[id(tensor)] = Weights(name, [part])
            parts[name] = weights
        elif isinstance(part, _NORMS):
            parts[name] = Norm(name, part)
        elif next(part.parameters(), None) is not None:
            parts[name] = Other(name, kind, f"a {kind}, which fdi does not draw")
        elif type(part).__module__ == "torch.nn.modules.activation":
            parts[name] = Other(name, kind, "")
    return parts


def _underlying(layer: Any) -> Tensor:
    if parametrize.is_parametrized(layer, "weight"):
        return next(layer.parametrizations.weight.parameters())
    return next(
        getattr(layer, name)
        for name in ("weight_orig", "weight_v", "weight")
        if isinstance(getattr(layer, name, None), nn.Parameter)
    )


def own_weights(name: str, neuron: Any) -> Iterator[Weights]:
    """Weights inside a neuron: `recurrent` in snnTorch, `input_weights` and `recurrent_weights` in
    Norse.
    """
    if isinstance(getattr(neuron, "recurrent", None), _LAYERS):
        yield Weights(f"{name}.recurrent", [neuron.recurrent], inside=True)
    if hasattr(neuron, "recurrent_weights"):
        yield Weights(f"{name}.input_weights", [neuron], "input_weights")
        own = dict(attribute="recurrent_weights", inside=True, autapses=neuron.autapses)
        yield Weights(f"{name}.recurrent_weights", [neuron], **own)


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Layers, neurons and other modules that are not just containers of such, in the order of
    registration.
    """
    if _is_leaf(module):
        yield name, module
        return
    for child_name, child in module.named_children():
        yield from _leaves(child, f"{name}.{child_name}" if name else child_name)


def _is_leaf(module: nn.Module) -> bool:
    known = isinstance(module, (*_LAYERS, *_NORMS, nn.MultiheadAttention))
    return (
        known
        or bool(library(module))
        or spikes_unknown(module)
        or next(module.children(), None) is None
    )


def _tensors(tree: object) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple | list):
        for branch in tree:
            yield from _tensors(branch)
    elif isinstance(tree, dict):
        yield from _tensors(tuple(tree.values()))
