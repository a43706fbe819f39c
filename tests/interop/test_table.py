"""A table of networks of others: each is initialized right, by a simulator of its own in this file,
or refused, and then nothing is changed. `pytest -v tests/interop/test_table.py` prints a line each.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_foreign import LIF
from test_wiring import Net as Wired
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import fdi
from fdi.interop import probe

DT, RATE, INPUTS, N = 1e-3, 0.03, 40, 40  # s, spikes of an input in a step, units
SIGMA_U = 0.9
pytestmark = pytest.mark.filterwarnings("ignore")


class Net(Wired):
    """Of populations of one size."""

    def __init__(self, **parts: Any) -> None:
        layers = dict(fc1=nn.Linear(INPUTS, N), fc2=nn.Linear(N, N), out=nn.Linear(N, 3))
        super().__init__(**layers | dict(lif1=LIF(0.9), lif2=LIF(0.95)) | parts)


def net(
    first: Callable[..., Tensor] | None = None,
    second: Callable[..., Tensor] | None = None,
    **parts: Any,
) -> Net:
    kind = type("Net", (Net,), {k: v for k, v in (("first", first), ("second", second)) if v})
    built: Net = kind(**parts)
    return built


def chain(*parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(*parts)


class OwnLinear(nn.Module):
    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(m, n) * 0.4)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.kernel.T


class Masked(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * (torch.arange(N) % 2), self.bias)


def frozen(part: nn.Module) -> nn.Module:
    for parameter in part.parameters():
        parameter.requires_grad_(False)
    return part


def loud(part: nn.Module) -> nn.Module:
    """So that the neurons behind it fire."""
    for parameter in part.parameters():
        parameter.data.mul_(5.0 if parameter.ndim > 1 else 0.0)
    return part


def tied() -> Net:
    built = net(fc1=nn.Linear(N, N))
    built.fc2.weight = built.fc1.weight
    return built


def hooked() -> Net:
    built = net()
    built.fc1.register_forward_hook(lambda part, args, out: 2 * out)
    built.lif2.register_forward_pre_hook(lambda part, args: (args[0] * 0.5,))
    built.fc2.register_full_backward_hook(lambda *_: None)
    return built


def parallel() -> nn.Module:
    if hasattr(torch, "pretended"):
        pytest.skip("DataParallel takes the pretended device, which has no kernels here")
    return nn.DataParallel(net())


def zeroed(norm: Any) -> nn.Module:
    nn.init.zeros_(norm.weight)
    return norm


def several(beta: Tensor) -> LIF:
    neuron = LIF(0.9)
    neuron.beta = beta
    return neuron


def compiled_in_place() -> Net:
    built = net()
    built.compile(backend="eager")
    return built


def shared() -> Net:
    built = net()
    built.lif2 = built.lif1
    return built


def behind(norm: nn.Module) -> dict[str, nn.Module]:
    return {"fc1": chain(nn.Linear(INPUTS, N), norm)}


def maps(conv: nn.Module, units: int) -> nn.Sequential:
    return chain(
        nn.Unflatten(1, (1, INPUTS)), conv, LIF(0.9), nn.Flatten(), nn.Linear(units, N), LIF(0.8)
    )


def planes(conv: nn.Module, units: int, channels: int = 1) -> nn.Sequential:
    shape = (channels, 5, 8 // channels)
    return chain(
        nn.Unflatten(1, shape), conv, LIF(0.9), nn.Flatten(), nn.Linear(units, N), LIF(0.8)
    )


class Attention(Net):
    attention: Any

    def second(self, s: Tensor, x: Tensor, last: Tensor) -> Tensor:
        tokens = self.fc2(s).unflatten(1, (5, 8))
        return self.attention(tokens, tokens, tokens)[0].flatten(1)


class Embedded(Net):
    """Its batch are words, one a sample and step."""

    embedding: Any

    def first(self, x: Tensor) -> Tensor:
        return self.fc1(self.embedding(x[:, 0].long()))


def scaled(factor: float) -> Callable[..., Tensor]:
    return lambda self, x: self.fc1(factor * x)


BUILT: dict[str, tuple[Callable[[], Any], str]] = {
    # name: how it is made, and what of it is refused ("": nothing), or left alone ("-": name)
    "linear": (net, ""),
    "chain": (lambda: chain(nn.Linear(INPUTS, N), LIF(0.9, 3.0), nn.Linear(N, N), LIF(0.5)), ""),
    "one element": (lambda: chain(nn.Linear(INPUTS, 1), LIF(0.9), nn.Linear(1, 1), LIF(0.8)), ""),
    "Conv1d": (lambda: maps(nn.Conv1d(1, 4, 5), 144), ""),
    "Conv1d, dilated": (lambda: maps(nn.Conv1d(1, 4, 5, dilation=3), 112), ""),
    "Conv2d": (lambda: planes(nn.Conv2d(1, 4, 3), 72), ""),
    "Conv2d, grouped": (lambda: planes(nn.Conv2d(4, 8, 2, groups=2), 32, 4), ""),
    "Conv3d": (
        lambda: chain(nn.Unflatten(1, (1, 2, 4, 5)), nn.Conv3d(1, 4, 2), LIF(0.9)),
        "",
    ),
    "ConvTranspose1d below": (lambda: maps(loud(nn.ConvTranspose1d(1, 4, 5)), 176), "-1"),
    "ConvTranspose1d alone": (
        lambda: chain(nn.Unflatten(1, (1, INPUTS)), nn.ConvTranspose1d(1, 4, 5), LIF(0.9)),
        "nothing to initialize",
    ),
    "weight_norm": (
        lambda: net(fc2=parametrizations.weight_norm(nn.Linear(N, N)), lif2=LIF(0.9, 0.2)),
        "-fc2",
    ),
    "spectral_norm, old": (
        lambda: net(
            fc1=nn.utils.spectral_norm(nn.Linear(INPUTS, N, bias=False)), lif1=LIF(0.9, 0.2)
        ),
        "-fc1",
    ),
    "pruned": (
        lambda: net(fc1=loud(prune.random_unstructured(nn.Linear(INPUTS, N), "weight", 0.5))),
        "-fc1",
    ),
    "masked by itself": (lambda: net(fc1=Masked(INPUTS, N)), ""),
    "tied": (tied, "-lif2"),
    "tied, transposed": (
        lambda: net(second=lambda self, s, x, last: F.linear(s, self.fc1.weight.T)),
        "-fc1.weight",
    ),
    "lazy": (lambda: net(fc1=nn.LazyLinear(N)), "lazy layers"),
    "compiled": (lambda: torch.compile(net(), backend="eager"), ""),
    "compiled in place": (compiled_in_place, ""),
    "scripted layer": (lambda: net(fc1=torch.jit.script(loud(nn.Linear(INPUTS, N)))), "-fc1"),
    "scripted": (
        lambda: torch.jit.script(chain(nn.Linear(INPUTS, N), nn.ReLU())),
        "no neuron",
    ),
    "bfloat16": (lambda: net().bfloat16(), ""),
    "float16": (lambda: net().half(), ""),
    "frozen layer": (lambda: net(fc1=frozen(loud(nn.Linear(INPUTS, N)))), "-fc1"),
    "frozen": (lambda: frozen(net()), "nothing to initialize"),
    "shared neuron": (shared, "nothing to initialize"),
    "layer used twice": (
        lambda: net(fc1=nn.Linear(N, N), second=lambda self, s, x, last: self.fc1(s)),
        "-lif2",
    ),
    "recurrent": (
        lambda: net(
            second=lambda self, s, x, last: self.fc2(s) + self.rec(last), rec=nn.Linear(N, N)
        ),
        "",
    ),
    "skip": (
        lambda: net(
            second=lambda self, s, x, last: self.fc2(s) + self.skip(x), skip=nn.Linear(INPUTS, N)
        ),
        "",
    ),
    "residual": (lambda: net(second=lambda self, s, x, last: self.fc2(s) + 0.05 * s), ""),
    "residual, large": (
        lambda: net(second=lambda self, s, x, last: self.fc2(s) + 5 * s),
        "what is not scaled",
    ),
    "concatenated": (
        lambda: net(
            second=lambda self, s, x, last: self.fc2(torch.cat([s, x], 1)),
            fc2=nn.Linear(N + INPUTS, N),
        ),
        "",
    ),
    "BatchNorm": (lambda: net(**behind(nn.BatchNorm1d(N))), ""),
    "BatchNorm in eval": (lambda: net(**behind(nn.BatchNorm1d(N))).eval(), "in evaluation mode"),
    "BatchNorm without gain": (lambda: net(**behind(nn.BatchNorm1d(N, affine=False))), "-fc1.1"),
    "BatchNorm of gain 0": (lambda: net(**behind(zeroed(nn.BatchNorm1d(N)))), ""),
    "LayerNorm": (lambda: net(**behind(nn.LayerNorm(N))), ""),
    "GroupNorm": (lambda: net(**behind(nn.GroupNorm(4, N))), ""),
    "Dropout": (lambda: net(fc2=chain(nn.Dropout(0.3), nn.Linear(N, N))), ""),
    "MaxPool": (
        lambda: net(
            fc2=chain(nn.Unflatten(1, (4, 10)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(20, N))
        ),
        "",
    ),
    "own Linear between": (lambda: net(fc2=chain(OwnLinear(N, N), nn.Linear(N, N))), "-fc2.0"),
    "x @ W": (
        lambda: net(first=lambda self, x: x @ self.w, w=nn.Parameter(0.4 * torch.randn(INPUTS, N))),
        "-w",
    ),
    "F.linear of a layer": (
        lambda: net(
            first=lambda self, x: F.linear(x, self.fc1.weight), fc1=loud(nn.Linear(INPUTS, N))
        ),
        "-fc1.weight",
    ),
    "Bilinear": (
        lambda: net(first=lambda self, x: self.two(x, x), two=loud(nn.Bilinear(INPUTS, INPUTS, N))),
        "-two",
    ),
    "Embedding": (lambda: Embedded(embedding=nn.Embedding(50, INPUTS)), "-embedding"),
    "attention": (
        lambda: Attention(attention=nn.MultiheadAttention(8, 2, batch_first=True)),
        "-attention",
    ),
    "hooks": (hooked, ""),
    "DataParallel": (parallel, ""),
    "current times 5": (lambda: net(first=lambda self, x: 5 * self.fc1(x)), ""),
    "input times 10": (lambda: net(first=scaled(10.0)), ""),
    "a beta for each neuron": (lambda: net(lif1=several(torch.linspace(0.5, 0.97, N))), ""),
    "a beta for each channel": (
        lambda: chain(
            nn.Unflatten(1, (1, INPUTS)), nn.Conv1d(1, 4, 5), several(torch.rand(4, 1) * 0.5 + 0.4)
        ),
        "not one for each neuron",
    ),
    "no leak": (lambda: net(lif1=LIF(1.0)), "-fc1"),
    "threshold below rest": (lambda: net(lif1=LIF(0.9, -1.0)), "-fc1"),
    "unused layer": (lambda: net(unused=nn.Linear(3, 3)), ""),
    "feedback, too strong": (
        lambda: net(
            first=lambda self, x: self.fc1(x) + self.back(self.lif2.mem_spikes(x)),
            back=nn.Linear(N, N),
            lif2=Remembering(0.95),
        ),
        "is not reached",
    ),
    "ReLU between": (lambda: net(fc1=chain(loud(nn.Linear(INPUTS, N)), nn.ReLU())), "-fc1.1"),
    "two layers between": (lambda: net(fc2=chain(nn.Linear(N, 30), nn.Linear(30, N))), ""),
}


class Remembering(LIF):
    """Its spikes of the step before are read by others."""

    __module__ = "snntorch"
    last: Tensor | None = None

    def reset_mem(self) -> None:
        super().reset_mem()
        self.last = None

    def mem_spikes(self, like: Tensor) -> Tensor:
        return like.new_zeros(len(like), N) if self.last is None else self.last

    def forward(self, x: Tensor) -> Tensor:
        self.last = super().forward(x)
        return self.last


def snntorch() -> Iterator[tuple[str, Callable[[], nn.Module], str]]:
    import snntorch as snn

    def net_of(neuron: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: chain(nn.Linear(INPUTS, N), neuron(), nn.Linear(N, N), neuron())

    own = dict(init_hidden=True)
    betas = torch.linspace(0.5, 0.97, N)
    yield "Leaky", net_of(lambda: snn.Leaky(0.9, **own)), ""
    yield "Leaky, reset to zero", net_of(lambda: snn.Leaky(0.9, reset_mechanism="zero", **own)), ""
    yield "Leaky, learned", net_of(lambda: snn.Leaky(0.9, learn_beta=True, **own)), ""
    yield "Leaky, a beta for each", net_of(lambda: snn.Leaky(betas, **own)), ""
    yield "Synaptic", net_of(lambda: snn.Synaptic(0.8, 0.9, **own)), ""
    yield "RLeaky", net_of(lambda: snn.RLeaky(0.9, linear_features=N, **own)), ""
    yield "state not kept", net_of(lambda: snn.Leaky(0.9)), "give simulate"


def norse() -> Iterator[tuple[str, Callable[[], nn.Module], str]]:
    import norse.torch as norse

    def net_of(*neurons: nn.Module) -> nn.Module:
        first, second = neurons
        return norse.SequentialState(nn.Linear(INPUTS, N), first, nn.Linear(N, N), second)

    yield "LIF", lambda: net_of(norse.LIF(), norse.LIF()), ""
    yield "LIFCell", lambda: net_of(norse.LIFCell(), norse.LIFCell()), ""
    recurrent = lambda: norse.SequentialState(norse.LIFRecurrent(INPUTS, N))  # noqa: E731
    yield "LIFRecurrent", recurrent, ""
    yield "another dt", lambda: net_of(norse.LIF(dt=0.002), norse.LIF(dt=0.002)), "integrates with"


def spikingjelly() -> Iterator[tuple[str, Callable[[], nn.Module], str]]:
    from spikingjelly.activation_based import layer, neuron

    def net_of(make: Callable[..., nn.Module], **options: Any) -> Callable[[], nn.Module]:
        return lambda: chain(
            layer.Linear(INPUTS, N), make(**options), layer.Linear(N, N), make(**options)
        )

    lif = neuron.LIFNode
    yield "LIFNode", net_of(lif, tau=10.0), ""
    yield "LIFNode, many steps", net_of(lif, tau=10.0, step_mode="m"), ""
    yield "LIFNode, input not scaled", net_of(lif, tau=10.0, decay_input=False), ""
    yield "ParametricLIFNode", net_of(neuron.ParametricLIFNode, init_tau=10.0), ""
    yield "IFNode", net_of(neuron.IFNode), "nothing to initialize"
    yield (
        "PSN",
        lambda: chain(
            loud(nn.Linear(INPUTS, N)),
            neuron.PSN(250),
            nn.Linear(N, N),
            lif(tau=10.0, step_mode="m"),
        ),
        "-0",
    )


def sinabs() -> Iterator[tuple[str, Callable[[], nn.Module], str]]:
    import sinabs.layers as sl

    def net_of(make: Callable[..., nn.Module], **options: Any) -> Callable[[], nn.Module]:
        return lambda: chain(
            nn.Linear(INPUTS, N), make(**options), nn.Linear(N, N), make(**options)
        )

    yield "LIF", net_of(sl.LIF, tau_mem=10.0), ""
    yield "LIF, input not scaled", net_of(sl.LIF, tau_mem=10.0, norm_input=False), ""
    yield "LIF with synapse", net_of(sl.LIF, tau_mem=10.0, tau_syn=5.0), ""
    yield "LIFSqueeze", net_of(sl.LIFSqueeze, tau_mem=10.0, batch_size=16), ""
    yield "IAF", net_of(sl.IAF), "nothing to initialize"


def cases() -> Iterator[Any]:
    for name, (make, expected) in BUILT.items():
        yield pytest.param(make, expected, id=name)
    for library in (snntorch, norse, spikingjelly, sinabs):
        if find_spec(library.__name__) is None:
            skip = pytest.mark.skip(reason=f"{library.__name__} is not installed")
            yield pytest.param(None, "", id=library.__name__, marks=skip)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for name, make, expected in library():
                    yield pytest.param(make, expected, id=f"{library.__name__} {name}")


def spikes(like: nn.Module, seed: int, steps: int = 250, samples: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if isinstance(like, Embedded):
        return torch.randint(50, (steps, samples, INPUTS), generator=generator).float()
    batch = (torch.rand(steps, samples, INPUTS, generator=generator) < RATE).float()
    kinds = {p.dtype for p in like.parameters()}
    return batch.to(kinds.pop()) if len(kinds) == 1 else batch


def potentials(neuron: Any, current: Tensor) -> Tensor:
    """U in units of the threshold for I [T, B, *shape], without reset, by the equations that the
    libraries document.
    """
    v = i = torch.zeros(())
    library, trace = type(neuron).__module__.partition(".")[0], []
    for x in current.double():
        if library == "snntorch" and hasattr(neuron, "alpha"):
            i = neuron.alpha * i + x
            v = neuron.beta * v + i
        elif library == "snntorch":
            v = neuron.beta * v + x
        elif library == "norse":
            i = i + x
            v = v + DT * 100.0 * (i - v)
            i = i - DT * 200.0 * i
        elif library == "spikingjelly":
            tau = getattr(neuron, "tau", None) or 1 / neuron.w.sigmoid()
            v = v * (1 - 1 / tau) + x / (tau if neuron.decay_input else 1.0)
        else:
            alpha = torch.exp(-1 / neuron.tau_mem)
            if neuron.tau_syn is not None:
                i = torch.exp(-1 / neuron.tau_syn) * (i + x)
                x = i
            v = alpha * v + ((1 - alpha) * x if neuron.norm_input else x)
        trace.append(v)
    theta = getattr(neuron, "threshold", getattr(neuron, "v_threshold", 1.0))
    return torch.stack(trace) / theta


@torch.no_grad()
def spread(network: nn.Module, neuron: Any, run: Callable[[Tensor], Any], batch: Tensor) -> float:
    """Of U apart from the mean of each neuron, without the first third of a trial."""
    given: list[Tensor] = []
    emitted: list[Tensor] = []
    hooks = [
        neuron.register_forward_pre_hook(lambda part, args: given.append(args[0].clone())),
        neuron.register_forward_hook(lambda part, args, out: emitted.append(spikes_of(out))),
    ]
    with torch.compiler.set_stance("force_eager"):  # to compile a loop takes a minute
        run(batch)
    for hook in hooks:
        hook.remove()
    current, before = over_time(neuron, given), over_time(neuron, emitted).roll(1, 0)
    before[0] = 0
    if isinstance(own := getattr(neuron, "recurrent", None), nn.Linear):
        current = current + own(before)
    if hasattr(neuron, "recurrent_weights"):
        current = current @ neuron.input_weights.T + before @ neuron.recurrent_weights.T
    u = potentials(neuron, current)
    return float(u[len(u) // 3 :].var((0, 1), correction=0).mean().sqrt())


def spikes_of(out: Any) -> Tensor:
    found: Tensor = out[0] if isinstance(out, tuple) else out
    return found.clone()


def over_time(neuron: Any, calls: list[Tensor]) -> Tensor:
    """[T, B, ...]."""
    if len(calls) > 1:
        return torch.stack(calls).float()
    if not type(neuron).__module__.startswith("sinabs"):
        return calls[0].float()
    squeezed = calls[0].ndim == 2
    return (calls[0].unflatten(0, (16, -1)) if squeezed else calls[0]).swapaxes(0, 1).float()


def state(network: nn.Module) -> dict[str, Any]:
    """All that a refused call must leave: tensors, gradients, hooks, modes, shapes of states."""
    kept: dict[str, Any] = {}
    for name, part in network.named_modules():
        kept[f"{name}.training"] = part.training
        if isinstance(part, torch.jit.ScriptModule):
            continue
        for key, value in vars(part).items():
            if isinstance(value, Tensor):
                kept[f"{name}.{key}"] = value.detach().clone()
            elif isinstance(value, dict):
                kept[f"{name}.{key}"] = list(value)
                tensors = {k: v for k, v in value.items() if isinstance(v, Tensor)}
                kept |= {
                    f"{name}.{key}.{k}": v.detach().clone() for k, v in tensors.items() if known(v)
                }
    kept |= {f"{name}.grad": p.grad for name, p in network.named_parameters()}
    return kept | {"random": torch.get_rng_state()}


def known(tensor: Tensor) -> bool:
    return not nn.parameter.is_lazy(tensor)


def differs(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    def same(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num())
        return bool(a == b)

    return [key for key in one.keys() | other.keys() if not same(one.get(key), other.get(key))]


def simulated(network: Any) -> Callable[[Tensor], Any] | None:
    """Chains are run by fdi, which is given nothing; others know how."""
    return None if isinstance(network, nn.Sequential) else network


def tried(
    make: Callable[[], nn.Module], expected: str
) -> tuple[str, dict[str, tuple[float, float]]]:
    """What became of a network, and reported and measured spreads by neuron."""
    from fdi.interop.network import trial_in_turn

    torch.manual_seed(0)
    network = make()
    batch, fresh = spikes(network, 1), spikes(network, 2)
    options: dict[str, Any] = dict(simulate=simulated(network), dt=DT, sigma_u=SIGMA_U)
    if isinstance(network, Embedded):
        options |= dict(kind="counts")
    for p in network.parameters():
        if p.requires_grad and known(p):
            p.grad = torch.ones_like(p)
    before = state(network)
    generator = torch.Generator().manual_seed(4)
    try:
        rows = fdi.initialize(network, batch=batch, generator=generator, **options)
    except fdi.Mistake as error:
        assert not differs(before, state(network)), differs(before, state(network))
        assert torch.equal(generator.get_state(), torch.Generator().manual_seed(4).get_state())
        return f"refused: {error}", {}
    after = state(network)
    changed = differs(before, after)
    ends = (*(name.rpartition(".")[2] for name, _ in network.named_parameters()), "weight", "bias")
    assert all(key.endswith(ends) for key in changed), changed
    drawn = {name for row in rows if row.sigma_w for name in row.layer.split(", ")}
    left = [row.layer for row in rows if row.sigma_w is None and row.gain is None]
    for layer in set(left) - drawn:
        assert not [key for key in changed if key.startswith(f"{layer}.")]
    run = options["simulate"]
    run = (lambda x: trial_in_turn(network, x)) if run is None else run
    places = dict(network.named_modules())
    found = {}
    for row in rows:
        if row.sigma_u is not None and row.neuron is not None:
            name = row.neuron.rpartition(" (")[0]
            found[name] = (row.sigma_u, spread(network, places[name], run, fresh))
    rest = state(network)
    told = probe(network, batch, options["simulate"], dt=DT, kind=options.get("kind"))
    assert not differs(rest, state(network)), differs(rest, state(network))
    probed = {row.neuron: row.sigma_u for row in told.layers}
    for name, (reported, _) in found.items():
        assert probed[name] == pytest.approx(reported, rel=0.05)  # Dropout is drawn anew
    return f"left alone: {', '.join(left)}" if expected.startswith("-") else "right", found


@pytest.mark.parametrize(("make", "expected"), list(cases()))
def test_a_network_is_right_or_refused(make, expected):
    became, spreads = tried(make, expected)
    if expected and not expected.startswith("-"):
        assert became.startswith("refused: ")
        assert expected in became
        return
    assert spreads
    assert not became.startswith("refused")
    if expected:
        assert expected[1:] in became
    for reported, measured in spreads.values():
        assert reported == pytest.approx(SIGMA_U, rel=0.021)
        # behind what is left alone neurons fire from the start of a trial on, in step
        assert measured == pytest.approx(SIGMA_U, rel=0.15 if expected else 0.1)
