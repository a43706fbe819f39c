"""A network of another library seen as populations and projections: which weights reach which
neuron, followed through a run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from fdi.config import Mistake
from fdi.interop.neurons import LIBRARIES, dimensions, is_neuron, library

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_OF_BATCHES = (nn.BatchNorm1d.mro()[1], nn.InstanceNorm1d.mro()[1])  # what all of a kind are
_NORMS = (*_OF_BATCHES, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_LIKE = (torch.zeros_like, torch.ones_like, torch.full_like, torch.empty_like, torch.rand_like)


@dataclass(eq=False)
class Weights:
    """A weight tensor on its way to a neuron; `layers` share it, under the names of `name`. For
    strategies it is a fdi.snn.network.Projection, of which they fill `weight`.

    `autapses`: False if a neuron's weight onto itself is to stay 0. `inside`: a neuron holds it for
    its own recurrence. `upstream`: where its input comes from. `squares`: sum over the
    `numbers` of its input in the run that was followed.
    """

    name: str
    layers: list[nn.Module]
    attribute: str = "weight"
    inside: bool = False
    autapses: bool = True
    upstream: set[Source] = field(default_factory=set)
    numbers: int = 0
    squares: float = 0.0
    source: str = ""
    target: str = ""
    recurrent: bool = False
    altered: bool = False
    channel: ClassVar[int] = 0
    nonnegative: ClassVar[bool] = False
    average: ClassVar[tuple[int, ...]] = ()

    @cached_property
    def weight(self) -> nn.Parameter:
        """What strategies fill, and `write` puts where the library keeps it."""
        return nn.Parameter(self.read().float().cpu().clone(), requires_grad=False)

    @property
    def power(self) -> float:
        return self.squares / max(1, self.numbers)

    @property
    def fan_in(self) -> int:
        return self.read()[0].numel() - (not self.autapses)

    def read(self) -> Tensor:
        return getattr(self.layers[0], self.attribute).detach()

    def tensors(self) -> list[Tensor]:
        """The parameters that the weights are, or are computed from."""
        if self.attribute != "weight":
            return [getattr(self.layers[0], self.attribute)]
        return [p for name, p in self.layers[0].named_parameters() if not name.startswith("bias")]

    @torch.no_grad()
    def write(self) -> None:
        if not self.autapses:
            self.weight.fill_diagonal_(0.0)
        for layer in self.layers:
            getattr(layer, self.attribute).copy_(self.weight)
            if isinstance(bias := getattr(layer, "bias", None), Tensor):
                bias.zero_()

    def refusal(self) -> str:
        if not any(p.requires_grad for p in self.tensors()):
            return "it is frozen (requires_grad=False)"
        for layer in self.layers:
            held = [getattr(layer, name, None) for name in (self.attribute, "bias")]
            if any(isinstance(x, Tensor) and not isinstance(x, nn.Parameter) for x in held):
                how = "computed in each call (a parametrization, pruning)"
                return f"its weights or biases are {how}; remove that while fdi draws them"
        return ""


@dataclass(eq=False)
class NormModule:
    """A normalization between weights and neuron."""

    name: str
    layer: Any
    upstream: set[Source] = field(default_factory=set)
    target: str = ""

    @property
    def weights(self) -> list[Weights]:
        return [source for source in self.upstream if isinstance(source, Weights)]

    def refusal(self) -> str:
        kind = f"{self.name} ({type(self.layer).__name__})"
        if not self.layer.training and getattr(self.layer, "running_mean", None) is not None:
            raise Mistake(
                f"{kind} is in evaluation mode, and normalizes otherwise than in training; call "
                f"train() of the network first"
            )
        if getattr(self.layer, "weight", None) is None:
            why = "sets the spread of the potential by itself; it has no gain (affine=False)"
            return f"{kind} follows, which {why}"
        return ""


@dataclass(eq=False)
class Other:
    """Something with parameters that are not those of a layer or a normalization, or an activation.
    `reason`: why it is not changed, "" without parameters.
    """

    name: str
    kind: str
    reason: str
    upstream: set[Source] = field(default_factory=set)
    target: str = ""

    def refusal(self) -> str:
        return self.reason or f"{self.name} ({self.kind}) follows, not a neuron"


@dataclass(eq=False)
class NeuronModule:
    """A neuron module. `reason`: why its spread cannot be set, "" if it can; else `neuron` is what
    strategies see, and `neurons` where they differ. `units`: shape of its input without time and
    batch. `own`: weights that it holds itself.
    """

    name: str
    module: nn.Module
    upstream: set[Source] = field(default_factory=set)
    reason: str = ""
    neuron: Any = None
    neurons: tuple[Any, ...] = ()
    spiking: bool = True
    units: tuple[int, ...] = ()
    own: list[Weights] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.name} ({type(self.module).__name__})"


Source = Weights | NormModule | Other | NeuronModule
DATA = NeuronModule("input", nn.Identity())
_NOTHING = NeuronModule("nothing that was seen", nn.Identity())  # a state before the first step


def origins(sources: set[Source]) -> set[Source]:
    """The populations, or the data, behind sources."""
    modules: set[Source] = set()
    seen: set[Source] = set()
    while sources := sources - seen:
        seen |= sources
        modules |= {source for source in sources if isinstance(source, NeuronModule)}
        sources = set().union(*(s.upstream for s in sources if not isinstance(s, NeuronModule)))
    return modules


@dataclass
class Wiring:
    """`populations` in the order in which they are called, and all `layers`."""

    populations: list[NeuronModule]
    layers: list[Weights | NormModule | Other]

    def afferents(self, population: NeuronModule) -> list[Weights | NormModule | Other]:
        """What reaches a population, in the order of registration."""
        return [part for part in self.layers if part in population.upstream]

    def heard(self, one: Source) -> bool:
        return any(one in part.upstream for part in (*self.populations, *self.layers))


@contextmanager
def unchanged(
    network: nn.Module, generator: Generator | None = None, weights: bool = True
) -> Iterator[None]:
    """Afterwards all that modules keep is as before: weights, gradients, buffers, hooks, modes and
    the state of neurons; without `weights` all but them, and after an error also where random
    numbers come from.
    """
    parameters, buffers = list(network.parameters()), list(network.buffers())
    if any(nn.parameter.is_lazy(tensor) for tensor in (*parameters, *buffers)):
        raise Mistake(
            f"{type(network).__name__} has lazy layers, whose sizes are not known yet; call it once"
        )
    own = [vars(m) for m in network.modules() if not isinstance(m, torch.jit.ScriptModule)]
    inside = [v for kept in own for v in kept.values() if isinstance(v, dict | list | set)]
    kept: list[tuple[Any, Any]] = [(each, copy.copy(each)) for each in (*own, *inside)]
    gradients = [(p, p.grad) for p in parameters]
    held = [*parameters, *buffers, *_tensors([before for _, before in kept])]
    held += [gradient for _, gradient in gradients if gradient is not None]
    tensors = [(x, x.detach().clone()) for x in {id(x): x for x in held}.values()]
    learned = {id(p) for p in parameters}
    randoms = [g for g in (torch.default_generator, generator) if g is not None]
    states = [(g, g.get_state()) for g in randoms]
    try:
        yield
    except BaseException:
        weights = True
        for random, state in states:
            random.set_state(state)
        raise
    finally:
        for container, before in kept:
            container.clear()
            container.extend(before) if isinstance(container, list) else container.update(before)
        for tensor, value in tensors:
            if weights or id(tensor) not in learned:
                _put_back(tensor, value)
        for parameter, gradient in gradients:
            parameter.grad = gradient


@torch.no_grad()
def _put_back(tensor: Tensor, value: Tensor) -> None:
    if tensor.shape != value.shape:
        tensor.data = value.clone()
    elif not torch.equal(tensor, value):
        tensor.copy_(value)


def follow(module: nn.Module, batch: Tensor, simulate: Callable[[], object]) -> Wiring:
    """What reaches what while `simulate()` runs on the batch.

    Every operation of torch hands on where its operands come from, a layer or a neuron begins anew.
    Raises fdi.Mistake if no neuron is called.
    """
    trace = _Trace(module)
    trace.origins[batch] = frozenset([DATA])
    try:
        with trace:
            simulate()
    finally:
        for hook in trace.hooks:
            hook.remove()
    wiring = trace.wiring()
    if not wiring.populations:
        raise Mistake(
            f"{type(module).__name__}: no neuron of {LIBRARIES} is called when the batch is "
            f"simulated; check `simulate`"
        )
    return wiring


class _Trace(TorchFunctionMode):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.origins = WeakTensorKeyDictionary()
        self.inside = 0  # of a layer or a neuron
        self.called: list[NeuronModule] = []  # one for each call with sources of its own
        self.layers = _parts(module)
        hooked = ("_orig", "_g", "_v")  # read before the layer is called
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
                    why = "is not the weight of a layer that is called"
                    origin |= {self.layers.setdefault(name, Other(name, "parameter", why))}
        if origin and not isinstance(out, torch.Size | int | bool | float):
            into = args[:1] if func is Tensor.__setitem__ else ()
            for tensor in _tensors((out, into)):
                self.origins[tensor] = origin | self.origins.get(tensor, frozenset())
        return out

    def wiring(self) -> Wiring:
        """One population for each neuron. Calls that share a source are in one place."""
        neurons = {call.module: NeuronModule(call.name, call.module) for call in self.called}
        for module, population in neurons.items():
            places: list[set[Source]] = []
            for call in (call for call in self.called if call.module is module):
                heard = call.upstream
                near = [one for one in places if one & heard or not (one and heard)]
                places = [one for one in places if one not in near] + [heard.union(*near)]
                population.reason, population.units = call.reason, call.units
            population.upstream = set().union(*places)
            if len(places) > 1:
                advice = "give each a neuron of its own"
                population.reason = f"{population.label} is used in {len(places)} places; {advice}"
        same: dict[Source, NeuronModule] = {call: neurons[call.module] for call in self.called}
        parts: tuple[Source, ...] = (*self.layers.values(), *neurons.values())
        for part in parts:
            upstream = {same.get(source, source) for source in part.upstream}
            part.upstream = upstream - {_NOTHING} or {DATA for _ in upstream}
        for population in neurons.values():
            population.own = list(own_weights(population))
        return Wiring(list(neurons.values()), list(dict.fromkeys(self.layers.values())))

    def _origin(self, tensors: Iterable[Tensor]) -> frozenset[Source]:
        return frozenset().union(*(self.origins.get(tensor, ()) for tensor in tensors))

    def _watch(self, name: str, part: nn.Module) -> None:
        leaf = name in self.layers or is_neuron(part)
        if not leaf or isinstance(part, torch.jit.ScriptModule):  # which takes no hooks
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
                if isinstance(source, Weights):
                    source.numbers += given[0].numel()
                    source.squares += float(given[0].double().square().sum())
            else:
                source = self._call(name, part, self._origin(given[:1]))
                source.units = tuple(given[0].shape[dimensions(part) :])
            for tensor in _tensors(out):
                self.origins[tensor] = frozenset([source])

        self.hooks.append(part.register_forward_pre_hook(enter, with_kwargs=True))
        self.hooks.append(part.register_forward_hook(leave, with_kwargs=True))

    def _call(self, name: str, neuron: nn.Module, origin: frozenset[Source]) -> NeuronModule:
        for known in self.called:
            if known.module is neuron and known.upstream == origin:
                return known
        call = NeuronModule(name, neuron, set(origin))
        if not library(neuron):
            call.reason = f"{call.label}: fdi does not know how it integrates"
        self.called.append(call)
        return call


def _parts(module: nn.Module) -> dict[str, Weights | NormModule | Other]:
    """By the name of the module: layers, those that share a tensor as one, normalizations, and
    other modules with parameters, or of which the output is not proportional to the input.
    """
    parts: dict[str, Weights | NormModule | Other] = {}
    shared: dict[int, Weights] = {}
    for name, part in _leaves(module):
        kind = type(part).__name__
        if is_neuron(part):
            continue
        if isinstance(part, _LAYERS):
            tensor = next(p for key, p in part.named_parameters() if not key.startswith("bias"))
            if id(tensor) in shared:
                weights = shared[id(tensor)]
                weights.name += f", {name}"
                weights.layers.append(part)
            else:
                weights = shared[id(tensor)] = Weights(name, [part])
            parts[name] = weights
        elif isinstance(part, _NORMS):
            parts[name] = NormModule(name, part)
        elif next(part.parameters(), None) is not None:
            parts[name] = Other(name, kind, f"a {kind}, which fdi does not draw")
        elif type(part).__module__ == "torch.nn.modules.activation":
            parts[name] = Other(name, kind, "")
    return parts


def own_weights(population: NeuronModule) -> Iterator[Weights]:
    """Weights inside a neuron: `recurrent` in snnTorch, `input_weights` and `recurrent_weights` in
    Norse.
    """
    name, neuron = population.name, population.module
    if isinstance(recurrent := getattr(neuron, "recurrent", None), _LAYERS):
        yield Weights(f"{name}.recurrent", [recurrent], inside=True, upstream={population})
    if hasattr(neuron, "recurrent_weights"):
        heard = population.upstream - {population}
        yield Weights(f"{name}.input_weights", [neuron], "input_weights", upstream=heard)
        within = Weights(f"{name}.recurrent_weights", [neuron], "recurrent_weights", inside=True)
        within.upstream, within.autapses = {population}, bool(neuron.autapses)
        yield within


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Layers, neurons and other modules that are not just containers of such, in the order of
    registration.
    """
    known = isinstance(module, (*_LAYERS, *_NORMS, nn.MultiheadAttention))
    if known or is_neuron(module) or next(module.children(), None) is None:
        yield name, module
        return
    for child_name, child in module.named_children():
        yield from _leaves(child, f"{name}.{child_name}" if name else child_name)


def _tensors(tree: object) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple | list):
        for branch in tree:
            yield from _tensors(branch)
    elif isinstance(tree, dict):
        yield from _tensors(tuple(tree.values()))
