"""stork, the library of Rossbroich et al. 2022."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmark.libraries.tools import TorchLearner
from benchmark.workloads import CLASSES, DT, LR, SLOPE, TAU_MEM, TAU_SYN, U_INIT, network


class Stork(TorchLearner):
    """Its model has the loss and the optimizer."""

    def __init__(self, work: dict, model: Any) -> None:
        def forward(x: Tensor) -> Tensor:
            return model.forward_pass(x, cur_batch_size=len(x)).transpose(0, 1)

        super().__init__(work, model, forward, batch_first=True)
        self.optimizer = model.optimizer_instance

    def step(self, batch: tuple[Tensor, Tensor]) -> float:
        model, (x, labels) = self.model, batch
        loss = model.get_total_loss(model.forward_pass(x, cur_batch_size=len(x)), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        model.apply_constraints()
        return float(loss.detach())


def build(work: dict) -> Stork:
    from stork import connections, layers, loss_stacks, nodes
    from stork.models import RecurrentSpikingModel

    batch, steps, shape = work["batch"], work["steps"], work["shape"]
    device = torch.get_default_device()
    model = RecurrentSpikingModel(
        batch, steps, shape[0] if len(shape) == 1 else shape, device=device
    )
    source = model.add_group(nodes.InputGroup(shape if len(shape) > 1 else shape[0]))
    lif = dict(tau_mem=TAU_MEM, tau_syn=TAU_SYN)
    below, ones = source, [1] * len(work["sizes"])
    for i, n in enumerate(work["sizes"]):
        if "kernel" in work:
            edge, pool = work.get("recurrent_kernel", 0), work.get("pool", ones)[i]
            kind = connections.ConvConnection if len(shape) == 2 else connections.Conv2dConnection
            below = layers.ConvLayer(
                f"h{i}", model, below, kernel_size=work["kernel"][i],
                stride=work.get("stride", ones)[i], padding=work.get("padding", 0),
                nb_filters=n, recurrent=edge > 0, connection_class=kind, neuron_kwargs=lif,
                recurrent_connection_kwargs=dict(kernel_size=edge, padding=edge // 2),
            ).output_group  # fmt: skip
            if pool > 1:
                below = model.add_group(nodes.MaxPool2d(below, kernel_size=pool))
        elif work.get("dale"):
            constants = dict(tau_mem=TAU_MEM, tau_exc=TAU_SYN, tau_inh=20e-3)
            below = layers.DalianLayer(
                f"h{i}", model, n, below, exc_neuron_kwargs=constants, inh_neuron_kwargs=constants
            ).output_group
        else:
            below = layers.Layer(
                f"h{i}", model, n, below, recurrent=bool(work.get("recurrent")), neuron_kwargs=lif
            ).output_group
    readout = model.add_group(
        nodes.ReadoutGroup(
            work.get("classes", CLASSES), tau_mem=steps * DT, tau_syn=TAU_SYN, initial_state=U_INIT
        )
    )
    model.add_connection(connections.Connection(below, readout, flatten_input=len(shape) > 1))
    model.configure(
        source, readout, loss_stack=loss_stacks.MaxOverTimeCrossEntropy(), time_step=DT,
        optimizer=torch.optim.Adam, optimizer_kwargs=dict(lr=work.get("lr", LR)),
    )  # fmt: skip
    with torch.no_grad():
        ours = {p.name: p.weight for p in network(work).projections}
        names = (
            ["input->e1", "input->i1", "i1->i1", "i1->e1", "e1->i1", "e1->e1", "e1->readout"]
            if work.get("dale")
            else list(ours)
        )
        for connection, name in zip(model.connections, names):
            connection.op.weight.copy_(ours[name])
    return Stork(work, model)


class Spike(torch.autograd.Function):
    """That of stork with its steepness as a constant: torch.compile cannot read it from a class."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, d_spike: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return d_spike / (SLOPE * torch.abs(v) + 1) ** 2


def compiled(work: dict) -> Stork:
    """All steps of a trial, forward and back, in one graph of torch.compile. The loop is that of
    stork, which counts its steps in a class, where torch.compile cannot follow.
    """
    learner = build(work)
    model = learner.model
    for group in model.groups:
        if hasattr(group, "spk_nl"):
            group.spk_nl = Spike.apply

    def trial(x: Tensor, cur_batch_size: int) -> Tensor:
        model.reset_states(cur_batch_size)
        model.input_group.feed_data(x)
        for t in range(model.nb_time_steps):
            model.input_group.clk = t
            model.evolve_all()
            model.propagate_all()
        return model.output_group.get_out_sequence()

    model.forward_pass = torch.compile(trial, fullgraph=True)
    return learner
