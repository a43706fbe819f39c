"""SpikingJelly: nodes in multi-step mode; an exponential synapse is a node without threshold."""

from __future__ import annotations

import math

from torch import Tensor, nn

from benchmark.libraries.tools import TorchLearner, in_one, weights
from benchmark.workloads import ALPHA, BETA, SLOPE


def build(work: dict) -> TorchLearner:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    maps = nn.ModuleList(weights(work))

    def cell(n: int) -> nn.Module:
        options = dict(
            tau=1 / (1 - BETA),
            v_reset=0.0,
            detach_reset=True,
            surrogate_function=surrogate.SuperSpike(alpha=SLOPE),
        )
        if work.get("recurrent"):
            return layer.LinearRecurrentContainer(
                neuron.LIFNode(**options), n, n, bias=False, step_mode="m"
            )
        if work.get("learn_tau"):
            return neuron.ParametricLIFNode(step_mode="m", init_tau=options.pop("tau"), **options)
        return neuron.LIFNode(step_mode="m", **options)

    def norm(n: int) -> nn.Module:
        if "norm" not in work:
            return nn.Identity()
        return layer.ThresholdDependentBatchNorm2d(1.0, work["gain"], n)

    cells = nn.ModuleList(cell(n) for n in work["sizes"])
    norms = nn.ModuleList(norm(n) for n in work["sizes"])

    def leak(tau: float, decay_input: bool) -> nn.Module:
        return neuron.LIFNode(
            tau=tau,
            decay_input=decay_input,
            v_threshold=math.inf,
            v_reset=0.0,
            step_mode="m",
            store_v_seq=True,
        )

    synapses = nn.ModuleList(leak(1 / (1 - ALPHA), False) for _ in (*cells, None))
    integrator = leak(float(work["steps"]), True)
    model = nn.ModuleList([maps, cells, norms, synapses, integrator])

    def filtered(node: nn.Module, x: Tensor) -> Tensor:
        node(x)
        return node.v_seq

    def forward(s: Tensor) -> Tensor:
        functional.reset_net(model)
        links, below = iter(maps[:-1]), s
        for i, node in enumerate(cells):
            arrived = in_one(next(links), s)
            if work.get("skip") and i >= 2:
                arrived = arrived + in_one(next(links), below)
            below, s = s, node(filtered(synapses[i], norms[i](arrived)))
            s = in_one(lambda y: nn.functional.max_pool2d(y, 2), s) if "pool" in work else s
        return filtered(integrator, filtered(synapses[-1], maps[-1](s.flatten(2))))

    return TorchLearner(work, model, forward)
