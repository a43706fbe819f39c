"""Scratch memory of one thread: a few samples of every layer, small enough to stay in the cache
between forward and backward.
"""

from __future__ import annotations

from fdi.engine.cpu.dense.plan import Plan
from fdi.engine.cpu.kernels.rows import LANES

BLOCK = 4
"""Samples that go through the layers together: enough to reuse the recurrent weights from the
registers.
"""


def shapes(
    plan: Plan, steps: int, span: int, gradients: bool, block: int
) -> dict[str, tuple[int, ...]]:
    """The shape of each part of the scratch memory for blocks of S samples.

    T steps in windows of `span`, L layers (the readout last), W = widest layer, C channels, V
    variables of the neuron's state; flat parts hold layer after layer, sample after sample. Without
    gradients those for the backward pass are empty, and `saved` is that of one window.
    """
    layers = plan.layers
    n, total, classes = block, int(layers["state_at"][-1]), int(layers["width"][-1])
    hidden, most = int(layers["list_at"][-1]), -(-steps // plan.gap)
    collected = layers["rows"][1:][layers["direct"][1:] < 0].sum()
    backward, windows = n * total * gradients, -(-steps // span) if gradients else 1
    return dict(
        # potential, currents and state at the beginning of each window
        saved=(windows * (1 + plan.channels + plan.states) * n * total,),
        potentials=(n * (span + 1) * total,),
        past=(plan.remembered * n * span * total,),  # of the state before each step
        # gS, then gI, from two steps before to two behind the window
        adjoints=(plan.channels * backward * (span + 4),),
        gu=((1 + plan.states) * backward,),  # gradient of the potential and of the state
        leak=(2 * backward,),  # the readout's adjoints as its sources see them
        readout=(n, steps + 1, classes),
        spike_indptr=(len(layers) - 1, n, steps + 1),  # ranges of `spikes`
        spikes=(n * (hidden * most + (len(layers) - 1) * LANES),),
        # what arrives, ranges of `arrived`; layer 0: of the input
        indptr=(len(layers), n, steps + 1),
        arrived=(n * int(collected) * most,),
        # currents and state
        rows=(max(2, plan.channels) + plan.states, plan.widest),
        peak=(n, classes),
        slope=(n, classes),
        pull=(n, plan.hidden),  # gradient of the bounds
    )
