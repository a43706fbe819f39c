"""The benchmark's workloads in fdi and in other libraries, each as a function that trains one step; only what can be imported takes part.

All compute layers of leaky integrate-and-fire neurons with an exponential synapse (tau_mem 20 ms, tau_syn 10 ms, reset to zero,
fast-sigmoid surrogate of slope 20), a leaky integrator as readout, cross-entropy on its maximum over time, and Adam; libraries differ in
the order of updates within a step. Where a library has a multi-step mode, it is used.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from fdi.init.draw import draw
from fdi.init.fluct import Fluct
from fdi.inputs import Events
from fdi.snn import models
from fdi.snn.engine.cpu import CpuEngine
from fdi.snn.engine.reference import ReferenceEngine
from fdi.snn.network import Network
from fdi.snn.objective import Objective

DT, TAU_MEM, TAU_SYN, CLASSES, SLOPE, U_INIT = 2e-3, 20e-3, 10e-3, 20, 20.0, -1e-3
DENSITY = 0.015
BETA, ALPHA = math.exp(-DT / TAU_MEM), math.exp(-DT / TAU_SYN)
WORKLOADS = {
    "a": dict(about="dense 700-128-20", steps=100, batch=256, shape=(700,), sizes=(128,)),
    "b": dict(about="recurrent 700-128r-20", steps=100, batch=256, shape=(700,), sizes=(128,), recurrent=True),
    "c": dict(about="deep 700-3x128-20", steps=100, batch=256, shape=(700,), sizes=(128, 128, 128)),
    "d": dict(about="conv 3x32x32, 32-64-128 filters 3x3, max pooling 2", steps=50, batch=32, shape=(3, 32, 32), sizes=(32, 64, 128)),
    "e": dict(about="Dale 700-(128E+32I)-20", steps=100, batch=256, shape=(700,), sizes=(128,), dale=True),
    "long": dict(about="dense 700-128-20, T = 350, batch 400", steps=350, batch=400, shape=(700,), sizes=(128,)),
}
Step = Callable[[], float]


def network(work: dict) -> Network:
    """The workload's network in fdi, in the fluctuation-driven state (some 10 spikes a second)."""
    given = dict(input_shape=work["shape"], classes=CLASSES, steps=work["steps"], dt=DT, readout_u_init=U_INIT)
    if len(work["shape"]) == 3:
        net = models.conv(filters=work["sizes"], kernel=3, padding=1, pool=2, **given)
    elif work.get("dale"):
        net = models.dale(excitatory=work["sizes"], inhibitory=32, **given)
    else:
        net = models.dense(hidden=work["sizes"], recurrent=work.get("recurrent", False), **given)
    nu = {p.name: 40.0 if p.pool > 1 else 14.0 for p in net.hidden}
    draw(net, Fluct(nu=nu), Fluct(nu=nu), nu_input=DENSITY / DT, measure=None, generator=torch.Generator().manual_seed(0))
    return net


def fdi(work: dict, x: Events, labels: np.ndarray, engine: CpuEngine | ReferenceEngine | None = None) -> Step:
    net, engine, objective = network(work), engine or CpuEngine(), Objective()
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)

    def step() -> float:
        outcome = engine.step(net, x, labels, objective)
        optimizer.step()
        net.constrain()
        return outcome.task / outcome.samples

    return step


def reference(work: dict, x: Events, labels: np.ndarray) -> Step:
    return fdi(work, x, labels, ReferenceEngine())


def _torch_step(model: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor, labels: np.ndarray) -> Step:
    """`forward`: [T, B, *shape] -> readout [T, B, classes]."""
    optimizer, targets = torch.optim.Adam(model.parameters(), 1e-4), torch.from_numpy(labels)

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(forward(x).amax(0), targets)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def _weights(work: dict) -> list[nn.Module]:
    """The linear or convolutional map into each layer, and into the readout, with the weights that fdi draws."""
    net = network(work)
    found = []
    for p in net.projections:
        if not p.recurrent:
            out, into = p.weight.shape[:2]
            found.append(nn.Conv2d(into, out, 3, padding=1, bias=False) if p.convolutional else nn.Linear(into, out, bias=False))
            found[-1].weight = nn.Parameter(p.weight.detach().clone())
    return found


def snntorch(work: dict, x: Events, labels: np.ndarray) -> Step:
    import snntorch as snn

    maps = nn.ModuleList(_weights(work))
    options = dict(alpha=ALPHA, beta=BETA, reset_mechanism="zero", spike_grad=snn.surrogate.fast_sigmoid(slope=SLOPE))
    if work.get("recurrent"):
        cells = nn.ModuleList(snn.RSynaptic(all_to_all=True, linear_features=n, **options) for n in work["sizes"])
    else:
        cells = nn.ModuleList(snn.Synaptic(**options) for _ in work["sizes"])
    slow = math.exp(-1 / work["steps"])
    integrator = snn.Synaptic(alpha=ALPHA, beta=slow, reset_mechanism="none")

    def forward(x_TBN: Tensor) -> Tensor:
        states = [cell.reset_mem() for cell in cells]
        syn, mem, out = *integrator.reset_mem(), []
        for s in x_TBN:
            for i, cell in enumerate(cells):
                states[i] = cell((1 - BETA) * maps[i](s), *states[i])
                states[i], s = states[i][1:] if len(states[i]) == 3 and not work.get("recurrent") else states[i], states[i][0]
                if s.ndim == 4:
                    s = nn.functional.max_pool2d(s, 2)
            _, syn, mem = integrator((1 - slow) * maps[-1](s.flatten(1)), syn, mem)
            out.append(mem)
        return torch.stack(out)

    return _torch_step(nn.ModuleList([maps, cells]), forward, torch.from_numpy(x.dense()), labels)


def norse(work: dict, x: Events, labels: np.ndarray) -> Step:
    import norse.torch as nt

    maps = nn.ModuleList(_weights(work))
    constants = dict(tau_syn_inv=torch.tensor(1 / TAU_SYN), tau_mem_inv=torch.tensor(1 / TAU_MEM))
    p = nt.LIFParameters(alpha=torch.tensor(SLOPE), **constants)
    recurrent = work.get("recurrent")
    cells = nn.ModuleList(nt.LIFRecurrent(x.shape[0], n, p, dt=DT) if recurrent else nt.LIF(p, dt=DT) for n in work["sizes"])
    duration = torch.tensor(1 / (work["steps"] * DT))
    integrator = nt.LI(nt.LIParameters(tau_syn_inv=constants["tau_syn_inv"], tau_mem_inv=duration), dt=DT)
    if recurrent:
        cells[0].input_weights = nn.Parameter(maps[0].weight.detach().clone())

    def forward(s: Tensor) -> Tensor:
        for i, cell in enumerate(cells):
            s, _ = cell(s if recurrent else _in_one(maps[i], s))
            s = _in_one(lambda y: nn.functional.max_pool2d(y, 2), s) if s.ndim == 5 else s
        return integrator(maps[-1](s.flatten(2)))[0]

    return _torch_step(nn.ModuleList([maps, cells]), forward, torch.from_numpy(x.dense()), labels)


def spikingjelly(work: dict, x: Events, labels: np.ndarray) -> Step:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    maps = nn.ModuleList(_weights(work))

    def cell(n: int) -> nn.Module:
        options = dict(tau=1 / (1 - BETA), v_reset=0.0, detach_reset=True, surrogate_function=surrogate.SuperSpike(alpha=SLOPE))
        if work.get("recurrent"):
            return layer.LinearRecurrentContainer(neuron.LIFNode(**options), n, n, bias=False, step_mode="m")
        return neuron.LIFNode(step_mode="m", **options)

    cells = nn.ModuleList(cell(n) for n in work["sizes"])

    def leak(tau: float, decay_input: bool) -> nn.Module:
        return neuron.LIFNode(tau=tau, decay_input=decay_input, v_threshold=math.inf, v_reset=0.0, step_mode="m", store_v_seq=True)

    synapses = nn.ModuleList(leak(1 / (1 - ALPHA), False) for _ in maps)
    integrator = leak(float(work["steps"]), True)
    model = nn.ModuleList([maps, cells, synapses, integrator])

    def filtered(node: nn.Module, x: Tensor) -> Tensor:
        node(x)
        return node.v_seq

    def forward(s: Tensor) -> Tensor:
        functional.reset_net(model)
        for i, node in enumerate(cells):
            s = node(filtered(synapses[i], _in_one(maps[i], s)))
            s = _in_one(lambda y: nn.functional.max_pool2d(y, 2), s) if s.ndim == 5 else s
        return filtered(integrator, filtered(synapses[-1], maps[-1](s.flatten(2))))

    return _torch_step(model, forward, torch.from_numpy(x.dense()), labels)


def sinabs(work: dict, x: Events, labels: np.ndarray) -> Step:
    import sinabs.activation as act
    import sinabs.layers as sl

    maps = nn.ModuleList(_weights(work))
    options = dict(
        tau_mem=TAU_MEM / DT, tau_syn=TAU_SYN / DT, norm_input=True, spike_fn=act.SingleSpike, reset_fn=act.MembraneReset(),
        surrogate_grad_fn=act.SingleExponential(),
    )  # fmt: skip
    if work.get("recurrent"):
        cells = nn.ModuleList(sl.LIFRecurrent(rec_connect=nn.Linear(n, n, bias=False), **options) for n in work["sizes"])
    else:
        cells = nn.ModuleList(sl.LIF(**options) for _ in work["sizes"])
    synapse, integrator = sl.ExpLeak(tau_mem=TAU_SYN / DT), sl.ExpLeak(tau_mem=float(work["steps"]), norm_input=True)
    model = nn.ModuleList([maps, cells, synapse, integrator])

    def forward(s: Tensor) -> Tensor:
        for module in (*cells, synapse, integrator):
            module.reset_states()
        for i, cell in enumerate(cells):
            s = cell(_in_one(maps[i], s))
            s = _in_one(lambda y: nn.functional.max_pool2d(y, 2), s) if s.ndim == 5 else s
        return integrator(synapse(maps[-1](s.flatten(2)))).transpose(0, 1)

    return _torch_step(model, forward, torch.from_numpy(x.dense()).transpose(0, 1).contiguous(), labels)


def _in_one(function: Callable[[Tensor], Tensor], s: Tensor) -> Tensor:
    """`function` on the first two axes taken together."""
    return function(s.flatten(0, 1)).unflatten(0, s.shape[:2])


def stork(work: dict, x: Events, labels: np.ndarray) -> Step:
    from stork import connections, layers, loss_stacks, nodes
    from stork.models import RecurrentSpikingModel

    batch, steps, shape = work["batch"], work["steps"], work["shape"]
    model = RecurrentSpikingModel(batch, steps, x.shape[0] if len(shape) == 1 else shape)
    source = model.add_group(nodes.InputGroup(shape if len(shape) > 1 else shape[0]))
    lif = dict(tau_mem=TAU_MEM, tau_syn=TAU_SYN)
    below = source
    for i, n in enumerate(work["sizes"]):
        if len(shape) == 3:
            layer = layers.ConvLayer(
                f"h{i}", model, below, kernel_size=3, stride=1, padding=1, nb_filters=n, recurrent=False,
                connection_class=connections.Conv2dConnection, neuron_kwargs=lif,
            )  # fmt: skip
            below = model.add_group(nodes.MaxPool2d(layer.output_group, kernel_size=2))
        elif work.get("dale"):
            constants = dict(tau_mem=TAU_MEM, tau_exc=TAU_SYN, tau_inh=20e-3)
            below = layers.DalianLayer(f"h{i}", model, n, below, exc_neuron_kwargs=constants, inh_neuron_kwargs=constants).output_group
        else:
            below = layers.Layer(f"h{i}", model, n, below, recurrent=bool(work.get("recurrent")), neuron_kwargs=lif).output_group
    readout = model.add_group(nodes.ReadoutGroup(CLASSES, tau_mem=steps * DT, tau_syn=TAU_SYN, initial_state=U_INIT))
    model.add_connection(connections.Connection(below, readout, flatten_input=len(shape) == 3))
    model.configure(source, readout, loss_stack=loss_stacks.MaxOverTimeCrossEntropy(), time_step=DT)
    with torch.no_grad():
        ours = {p.name: p.weight for p in network(work).projections}
        names = ["input->e1", "input->i1", "i1->i1", "i1->e1", "e1->i1", "e1->e1", "e1->readout"] if work.get("dale") else list(ours)
        for connection, name in zip(model.connections, names):
            connection.op.weight.copy_(ours[name])
    dense, targets = torch.from_numpy(x.dense()).transpose(0, 1).contiguous(), torch.from_numpy(labels)

    def step() -> float:
        loss = model.get_total_loss(model.forward_pass(dense, cur_batch_size=batch), targets)
        model.optimizer_instance.zero_grad()
        loss.backward()
        model.optimizer_instance.step()
        model.apply_constraints()
        return float(loss.detach())

    return step


LIBRARIES = {"fdi": fdi, "stork": stork, "snntorch": snntorch, "norse": norse, "spikingjelly": spikingjelly, "sinabs": sinabs}
"""Name of the module -> builder of a step."""


def available() -> dict[str, Callable]:
    """The libraries that can be imported; without stork, fdi's reference engine stands in for it under the name "reference"."""
    found = {name: build for name, build in LIBRARIES.items() if importlib.util.find_spec(name)}
    return found if "stork" in found else {**found, "reference": reference}
