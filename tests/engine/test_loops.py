"""A network as a module of torch, in a loop of one's own: the compiled engine under autograd."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from compared import as_events, weighted
from making import one_line
from numba.core.errors import TypingError
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from fdi.data.inputs import Constant, Frames, sparse
from fdi.engine import call as calling
from fdi.engine.cpu.engine import CpuEngine
from fdi.engine.cpu.frames import listed
from fdi.engine.cpu.kernels import jit
from fdi.engine.reference.simulation import simulate
from fdi.snn import models
from fdi.snn.network import Activity, Network
from fdi.snn.neuron import adlif, lif
from fdi.snn.objective import READOUTS, REDUCTIONS

IN_SINGLE = [
    *("dense", "recurrent"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("dale", "max pooling")),
]  # what is compiled for it alone is slow
T, B, CLASSES, DT = 20, 11, 4, 2e-3
DENSE: dict[str, Any] = dict(input_shape=(9,), classes=CLASSES, steps=T, dt=DT)
IMAGE: dict[str, Any] = dict(DENSE, input_shape=(2, 8, 8))
MAPS: dict[str, Any] = dict(IMAGE, filters=[5, 4], kernel=3, padding=1)
TRACES = ("spikes", "potentials")
NETWORKS = {
    "dense": lambda: models.dense(hidden=[8, 7], **DENSE),
    "recurrent": lambda: models.dense(hidden=[8, 7], recurrent=True, **DENSE),
    "adaptive": lambda: models.dense(hidden=[8, 7], neuron=adlif(), **DENSE),
    "skip": lambda: models.dense(hidden=[8, 7, 6], skip=True, **DENSE),
    "learned tau": lambda: models.dense(
        hidden=[8, 7], neuron=lif(learn_tau=True, reset="subtract"), **DENSE
    ),
    "dale": lambda: models.dale(excitatory=[8, 6], inhibitory=[3, 2], **DENSE),
    "max pooling": lambda: models.conv(pool=2, **MAPS),
    "average pooling": lambda: models.conv(pool=2, pooling="average", **MAPS),
    "recurrent maps": lambda: models.conv(pool=2, recurrent_kernel=3, **MAPS),
    "dale maps": lambda: models.dale_conv(
        excitatory=[5, 4], inhibitory=[2, 2], kernel=3, recurrent_kernel=3, pool=2, **IMAGE
    ),
    "tdbn": lambda: models.dense(hidden=[8, 7], norm="tdbn", **DENSE),
    "bntt": lambda: models.conv(pool=2, norm="bntt", **MAPS),
    "layer": lambda: models.conv(dense=6, norm="layer", **MAPS),
}


SLOW = {"dale maps": pytest.mark.slow}  # maps of two channels in float64 are compiled for it alone
MARKED = [pytest.param(name, marks=SLOW.get(name, ())) for name in NETWORKS]


def network(name: str = "recurrent", strength: float = 5.0) -> Network:
    return weighted(NETWORKS[name](), strength).double()


def spikes(net: Network, steps: int = T, batch: int = B) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = steps, batch, *net.input_shape
    return torch.randint(-3, 3, shape, generator=generator).clamp(min=0).double()


def reference(net: Network, x: Tensor, record: tuple[str, ...] = ()) -> Activity:
    return simulate(net, x, record, net.training and bool(net.norms))


def compiled(x: Tensor) -> bool:
    """Whether the engine of the readout, or of counts, is the compiled one."""
    node = x.grad_fn
    while node is not None and "Trial" not in type(node).__name__:
        node = node.next_functions[0][0] if node.next_functions else None
    return node is not None


def some_loss(activity: Activity) -> Tensor:
    """Of the readout at every step, and of the counts."""
    readout = activity.readout
    wanted = torch.linspace(-1, 1, readout.numel(), dtype=readout.dtype).view_as(readout)
    counted = sum((n - 2).square().mean() for n in activity.counts.values())
    return (readout - wanted).square().mean() + 0.1 * counted


def gradients(net: Network, x: Any, run=Network.activity, loss=some_loss) -> list[Tensor]:
    wanted = [*net.parameters(), *[x] * getattr(x, "requires_grad", False)]
    return list(torch.autograd.grad(loss(run(net, x)), wanted))


def assert_same(found: list[Tensor], expected: list[Tensor], accuracy: float = 1e-9) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        apart, size = (a - b).detach().abs().max(), b.detach().abs().max()
        assert float(apart) <= accuracy * float(size)


@pytest.mark.parametrize("name", MARKED)
def test_the_numbers_are_those_of_the_reference(name):
    net = network(name)
    x = spikes(net)
    found, expected = net.activity(x), reference(net, x)
    assert compiled(found.readout)
    assert all(n.sum() > 0 for n in expected.counts.values())
    assert_same(
        [found.readout, *found.counts.values()], [expected.readout, *expected.counts.values()]
    )
    assert_same(gradients(net, x), gradients(net, x, reference))


@pytest.mark.parametrize("name", IN_SINGLE)
def test_so_they_are_in_single_precision(name):
    net = network(name).float()
    x = spikes(net).float()
    for given in (x, x.clone().requires_grad_()):  # as behind a layer of another module
        assert_same(gradients(net, given), gradients(net, given, reference), 1e-4)


def of_traces(*kinds: str):
    """A loss of `kinds` of traces, each step and neuron with a weight of its own."""

    def loss(activity: Activity) -> Tensor:
        total = 0.1 * activity.readout.square().mean()
        for x in (x for kind in kinds for x in getattr(activity, kind).values()):
            weights = torch.linspace(-1, 2, x.numel(), dtype=x.dtype).cos().view_as(x)
            total = total + (weights * x).sum() / len(x)
        return total

    return loss


@pytest.mark.parametrize("kinds", [("spikes",), ("potentials",), TRACES])
@pytest.mark.parametrize("name", MARKED)
def test_so_are_spikes_and_potentials_and_what_a_loss_asks_of_them(name, kinds):
    net = network(name)
    x = spikes(net)
    found, expected = net.activity(x, kinds), reference(net, x, kinds)
    assert compiled(found.readout)
    for kind in TRACES:
        ours, theirs = getattr(found, kind), getattr(expected, kind)
        assert ours.keys() == theirs.keys()
        assert_same([*ours.values()], [*theirs.values()])
    weights, loss = [*net.parameters()], of_traces(*kinds)
    slow = [*torch.autograd.grad(loss(expected), weights)]
    total = loss(found)
    for _ in range(2):
        assert_same([*torch.autograd.grad(total, weights, retain_graph=True)], slow)
    with torch.no_grad():
        again = net.eval().activity(x, kinds)
    if not net.norms:
        assert_same([*getattr(again, kinds[0]).values()], [*getattr(found, kinds[0]).values()], 0)


def read_by(readout: str):
    """The reference, read out over time by torch."""

    def run(net: Network, x: Tensor) -> Activity:
        activity = reference(net, x, TRACES)
        return replace(activity, readout=REDUCTIONS[readout](activity.readout))

    return run


def of_scores(activity: Activity) -> Tensor:
    """A loss of what is read out over time, and of recorded spikes."""
    scores = activity.readout
    labels = torch.arange(len(scores)) % scores.shape[1]
    first = next(iter(activity.spikes.values()))
    return nn.functional.cross_entropy(scores, labels) + 0.1 * first.mean(0).square().sum()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("name", MARKED)
def test_so_is_what_the_engine_reads_out_over_time(name, readout):
    net = network(name)
    x, run = spikes(net), read_by(readout)

    def fast(net: Network, x: Tensor) -> Activity:
        return net.activity(x, ("spikes",), readout)

    found, expected = fast(net, x), run(net, x)
    assert compiled(found.readout)
    assert_same([found.readout], [expected.readout])
    assert_same([*found.spikes.values()], [*expected.spikes.values()])
    assert_same(gradients(net, x, fast, of_scores), gradients(net, x, run, of_scores))
    with torch.no_grad():
        assert net(x, readout=readout).shape == (B, CLASSES)
        if not net.norms:
            assert_same([net(x, readout)], [found.readout], 0)


@pytest.mark.parametrize("name", ["dense", "max pooling"])
def test_equal_maxima_share_their_gradient(name):
    net = network(name)
    net.projections[-1].weight.data.zero_()
    x = spikes(net)
    wanted = torch.linspace(-1, 2, B * CLASSES).double().view(B, CLASSES)

    def loss(activity: Activity) -> Tensor:
        return (wanted * activity.readout).sum()

    found = gradients(net, x, lambda net, x: net.activity(x, readout="max"), loss)
    assert found[-1].abs().sum() > 0
    assert_same(found, gradients(net, x, read_by("max"), loss))


@pytest.mark.parametrize("name", ["tdbn", "bntt", "layer"])
def test_statistics_of_a_normalization_follow_once_and_rest_in_eval(name):
    net, other = network(name), network(name)
    x = spikes(net)
    for _ in range(2):
        loss = some_loss(net.activity(x))
        loss.backward(retain_graph=True)
        loss.backward()
        reference(other, x)
    with torch.no_grad():
        net(x + 1)
        reference(other, x + 1)
    assert_same([*net.buffers()], [*other.buffers()])
    assert_same(gradients(net.eval(), x), gradients(other.eval(), x, reference))
    assert_same([*net.buffers()], [*other.buffers()])


@pytest.mark.parametrize("name", ["dense", "recurrent", "dale", "max pooling", "tdbn"])
def test_so_is_the_gradient_of_the_input(name):
    net = network(name)
    x = spikes(net).requires_grad_()
    assert compiled(net(x)) == ("pooling" not in name)
    assert_same(gradients(net, x), gradients(net, x, reference))
    loss = of_traces(*TRACES)
    ours = gradients(net, x, lambda net, x: net.activity(x, TRACES), loss)
    assert_same(ours, gradients(net, x, lambda net, x: reference(net, x, TRACES), loss))


@pytest.mark.parametrize("name", ["dense", "max pooling"])
def test_so_are_those_of_other_inputs(name):
    net = network(name)
    image = np.random.default_rng(0).random((B, *net.input_shape))
    events = as_events(spikes(net).transpose(0, 1).numpy(), True)
    for given in (Constant(image, steps=T), events):
        assert compiled(net(given))
        x = torch.from_numpy(given.dense(np.float64).copy())
        assert_same(gradients(net, given), gradients(net, x, reference))


@pytest.mark.parametrize("name", ["recurrent", "adaptive"])
def test_without_gradients_the_fast_engine_gives_the_same(name, monkeypatch):
    net = network(name)
    x = spikes(net)
    slow = net.activity(x, ("spikes",))
    with torch.no_grad():
        assert torch.equal(net.activity(x, ("spikes",)).spikes["h1"], slow.spikes["h1"])
        monkeypatch.setattr(calling, "simulate", None)  # not even looked at
        fast = net.activity(x)
    assert not fast.readout.requires_grad
    torch.testing.assert_close(fast.readout, slow.readout.detach())
    for weight in net.parameters():
        weight.requires_grad_(False)
    torch.testing.assert_close(net(x), fast.readout)


def test_arrays_events_and_lists_are_the_same_input():
    net = network()
    x = (spikes(net) > 0).double()
    with torch.no_grad():
        expected, samples = net(x), x.swapaxes(0, 1).numpy()
        lists = [((steps + 0.5) * DT, units) for steps, units in map(np.nonzero, samples)]
        for given in (x.numpy(), Frames(samples), as_events(samples), lists):
            found = net(given)
            torch.testing.assert_close(found, expected[: len(found)])


def test_it_is_a_module_that_is_saved_copied_moved_and_pickled():
    net, other = network(), network(strength=1.0)
    x = spikes(net)
    expected = net(x)
    other.load_state_dict(net.state_dict())
    torch.testing.assert_close(other(x), expected)
    for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), net.eval()):
        torch.testing.assert_close(again(x), expected)
    assert net.to(torch.float32)(x).dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(T, B, 10), r"an input of \(20, 11, 10\); it must be \[T, B, 9\]"),
        (torch.zeros(T, 9), r"must be \[T, B, 9\], time first"),
        (np.zeros((T, B, 9), complex), "must be real"),
        (Frames(np.zeros((B, T, 5))), r"an input of \(5,\); this network sees \(9,\)"),
        ([(np.zeros(2), np.zeros(3))], "sample 0: times must be seconds from 0 on"),
        ([(np.zeros(1), np.array([9]))], r"sample 0: units must lie in 0\.\.8"),
        ([1, 2], "a list must hold"),
    ],
)
def test_another_input_is_refused_in_a_line(x, words):
    with one_line(words):
        network()(x)
    with one_line("record has spike; choose from spikes"):
        network().activity(spikes(network()), ("spike",))
    with one_line("^readout = 'sum' is unknown; choose one of max, mean, "):
        network()(spikes(network()), readout="sum")


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_memory_for_the_way_back_is_kept_or_not_with_the_same_numbers(share, monkeypatch):
    """Dense values and sparse ones, too, in chunks whose last block is not full."""
    net = network("dense")
    x = (torch.rand(T, 90, 9, generator=torch.Generator().manual_seed(1)) < share).double()
    expected = gradients(net, x)
    monkeypatch.setattr(calling._engine(torch.get_num_threads()), "memory", 0)
    assert_same(gradients(net, x), expected, 0)
    assert_same(expected, gradients(net, x, reference))


@pytest.mark.parametrize("readout", [None, "max"])
def test_gradients_add_up_and_come_again_until_the_graph_is_gone(readout):
    net = network()
    x, weights = spikes(net), [*net.parameters()]

    def loss() -> Tensor:
        if readout is None:
            return some_loss(net.activity(x))
        return nn.functional.cross_entropy(net(x, readout=readout), torch.arange(B) % CLASSES)

    once = torch.autograd.grad(loss(), weights)
    total = loss()
    some_loss(net.activity(spikes(net, T + 3, 2)))  # a pass between, of another length
    loss()
    total.backward(retain_graph=True)
    total.backward()
    for weight, gradient in zip(weights, once):
        torch.testing.assert_close(weight.grad, 2 * gradient, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()
    assert_same([*torch.autograd.grad(loss(), weights, create_graph=True)], [*once])
    total = loss()
    with torch.no_grad():
        net.projections[0].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_frozen_weights_get_no_gradient_and_shared_ones_both():
    net = network("dense")
    x = spikes(net)
    net.projections[0].weight.requires_grad_(False)
    some_loss(net.activity(x)).backward()
    assert [w.grad is None for w in net.parameters()] == [True, False, False]
    net = models.dense(hidden=[9, 9], **DENSE).double()
    net.projections[0].weight.data.normal_(0, 2, generator=torch.Generator().manual_seed(0))
    net.projections[1].weight = net.projections[0].weight
    assert_same(gradients(net, x)[:1], gradients(net, x, reference)[:1])


def test_gradients_of_gradients_are_those_of_the_reference():
    net = network()
    x = spikes(net)

    def penalty(run) -> list[Tensor]:
        first = torch.autograd.grad(some_loss(run(net, x)), [*net.parameters()], create_graph=True)
        squares = torch.stack([g.square().sum() for g in first]).sum()
        return list(torch.autograd.grad(squares, [*net.parameters()]))

    assert_same(penalty(Network.activity), penalty(reference))
    readout = net(x).sum((0, 1))
    (rows,) = torch.autograd.grad(
        readout, net.projections[0].weight, torch.eye(CLASSES).double(), is_grads_batched=True
    )
    assert_same([rows[1]], [gradients(net, x, loss=lambda a: a.readout[:, :, 1].sum())[0]])


def test_transforms_of_functions():
    net = network()
    x, given = spikes(net), {name: w.detach() for name, w in net.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(net, weights, (x,)).square().mean()

    expected = gradients(net, x, loss=lambda a: a.readout.square().mean())
    assert_same([*grad(loss)(given, x).values()], expected)
    each = vmap(grad(loss), (None, 1))(given, x[:, :, None])
    assert_same([g.mean(0) for g in each.values()], expected)
    other = {name: (w + 0.1).requires_grad_() for name, w in given.items()}
    found = torch.autograd.grad(loss(other, x), [*other.values()])
    net.load_state_dict(other)
    assert_same(list(found), gradients(net, x, loss=lambda a: a.readout.square().mean()))
    with torch.inference_mode():
        assert not net(x).requires_grad


def test_what_the_compiled_engine_does_not_compute_the_reference_does():
    net = network("dense")
    x = spikes(net)
    for record in ("free", "moments"):
        assert not compiled(net.activity(x, record=(record,)).readout)
    assert not compiled(net.bfloat16()(x))


def test_a_network_that_changed_is_another_one():
    net = network("dense")
    x = spikes(net)
    before = gradients(net, x)
    slower = network("dense")
    slower.layers = models.dense(hidden=[8, 7], neuron=lif(tau_mem=50e-3), **DENSE).layers
    net.layers = slower.layers
    assert_same(gradients(net, x), gradients(slower, x, reference))
    assert not torch.equal(gradients(net, x)[0], before[0])


def test_nothing_is_kept_of_a_network_that_is_gone():
    engine = calling._engine(torch.get_num_threads())
    gc.collect()
    known = len(engine._memories)
    net = network()
    for steps in range(5, 20):
        some_loss(net.activity(spikes(net, steps))).backward()
    assert len(engine._memories[net]._free) <= 8
    del net
    gc.collect()
    assert len(engine._memories) == known


def test_threads_of_the_user_and_of_torch_change_nothing():
    net = network("dense").float()
    x = spikes(net, batch=64).float()
    expected, found, threads = gradients(net, x), {}, torch.get_num_threads()

    def run(i: int) -> None:
        found[i] = [gradients(net, x) for _ in range(5)]

    workers = [threading.Thread(target=run, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    torch.set_num_threads(1 if threads > 1 else 2)
    found[3] = [gradients(net, x)]
    torch.set_num_threads(threads)
    for each in found.values():
        for again in each:
            assert_same(again, expected, 0)


def test_a_failed_compilation_is_said_once(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise TypingError("no such thing\nand more")

    monkeypatch.setattr(calling, "_FAILED", [])
    monkeypatch.setattr(CpuEngine, "trial", fail)
    net = network("dense")
    x = spikes(net)
    with pytest.warns(UserWarning, match=r"cannot be compiled here \(.*no such thing\); networks"):
        found = gradients(net, x)
    assert_same(found, gradients(net, x))
    with torch.no_grad():
        assert_same([net(x)], [reference(net, x).readout])


def test_and_blocks_nobody():
    """Not even this process."""
    names: dict = {}
    source = "def broken(x):\n    return x.nothing\n"
    exec(compile(source, str(jit.ENGINE / "cpu" / "broken.py"), "exec"), names)
    broken, begin = jit.kernel(names["broken"]), time.monotonic()
    for _ in range(2):
        with pytest.raises(TypingError, match="nothing"):
            broken(np.zeros(2))
    assert time.monotonic() - begin < jit.PATIENCE / 3


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8, bool, np.int64])
def test_frames_become_lists_in_any_order_and_of_any_kind(kind):
    rng, exact = np.random.default_rng(0), np.dtype(np.float64)
    values = (rng.integers(1, 3, (5, 7, 37)) * (rng.random((5, 7, 37)) < 0.2)).astype(kind)
    values[2, 3:5] = 0
    for given in (values, np.ascontiguousarray(values.swapaxes(0, 1)).swapaxes(0, 1)):
        lists = listed(given, exact, 0.45)
        assert lists is not None
        indptr, units, counts = lists
        expected = sparse(values)
        np.testing.assert_array_equal(indptr, expected.indptr)
        np.testing.assert_array_equal(units, expected.units)
        np.testing.assert_array_equal(counts, [] if kind is bool else expected.counts)
    assert listed(values, exact, 0.1) is None
    assert listed(np.ones_like(values), exact, 0.99) is None
    lists = listed(np.ones_like(values), exact, float("inf"))
    assert lists is not None
    assert len(lists[1]) == values.size
