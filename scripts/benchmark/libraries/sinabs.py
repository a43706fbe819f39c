"""sinabs: layers over whole sequences."""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.libraries.tools import TorchLearner, in_one, weights
from benchmark.workloads import DT, TAU_MEM, TAU_SYN


def build(work: dict) -> TorchLearner:
    import sinabs.activation as act
    import sinabs.layers as sl

    maps = nn.ModuleList(weights(work))
    options = dict(
        tau_mem=TAU_MEM / DT, tau_syn=TAU_SYN / DT, norm_input=True, spike_fn=act.SingleSpike,
        reset_fn=act.MembraneReset(),
        surrogate_grad_fn=act.SingleExponential(),
    )  # fmt: skip
    if work.get("recurrent"):
        cells = nn.ModuleList(
            sl.LIFRecurrent(rec_connect=nn.Linear(n, n, bias=False), **options)
            for n in work["sizes"]
        )
    else:
        cells = nn.ModuleList(sl.LIF(**options) for _ in work["sizes"])
    synapse, integrator = (
        sl.ExpLeak(tau_mem=TAU_SYN / DT),
        sl.ExpLeak(tau_mem=float(work["steps"]), norm_input=True),
    )
    model = nn.ModuleList([maps, cells, synapse, integrator])

    def forward(s: Tensor) -> Tensor:
        for module in (*cells, synapse, integrator):
            module.reset_states()
        for i, cell in enumerate(cells):
            s = cell(in_one(maps[i], s))
            s = in_one(lambda y: nn.functional.max_pool2d(y, 2), s) if s.ndim == 5 else s
        return integrator(synapse(maps[-1](s.flatten(2)))).transpose(0, 1)

    return TorchLearner(work, model, forward, batch_first=True)
