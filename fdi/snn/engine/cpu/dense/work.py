"""Scratch memory of one thread: a few samples of every layer, small enough to stay in the cache
between forward and backward.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.snn.engine.cpu.dense.plan import WIDTH, Plan

BLOCK = 8
"""Samples that go through the layers together: enough to reuse the recurrent weights from the
registers.
"""


class Work(NamedTuple):
    """For a block of S samples, T steps in windows of `span`, L layers (the readout last), W =
    widest layer; flat arrays hold layer after layer. Without gradients those for the backward pass
    are empty, and `saved` is that of one window.
    """

    span: int
    saved: (
        np.ndarray
    )  # [windows sum of S 3 width] potential and currents at the beginning of each window
    potentials: np.ndarray  # [sum of S (span + 1) width]
    # [sum of S (span + 4) width] gS, then gI of channel 0, from two steps before to two behind the
    # window
    adjoints: np.ndarray
    adjoints_1: np.ndarray  # the same of channel 1, if a layer has one
    gu: np.ndarray  # [sum of S width] gradient of the potential
    leak: np.ndarray  # [sum of S 2 width] the readout's adjoints as its sources see them
    readout: np.ndarray  # [S, T + 1, classes padded] potentials
    spike_indptr: np.ndarray  # [L - 1, S, T + 1] ranges of the flat `spikes`
    spikes: np.ndarray
    # [L, S, T + 1] what arrives at layers that are not direct, ranges of the flat `arrived`; layer
    # 0: of the input
    indptr: np.ndarray
    arrived: np.ndarray
    rows: np.ndarray  # [2, W] currents
    peak: np.ndarray  # [S, classes padded]
    slope: np.ndarray  # [S, classes padded]
    pull: np.ndarray  # [S, hidden units + WIDTH] gradient of the bounds


def shapes(plan: Plan, steps: int, span: int, gradients: bool) -> dict[str, tuple[int, ...]]:
    """The shape of each part of the scratch memory. A neuron spikes in every second step at most:
    it is reset in between.
    """
    n, total, widest, classes = (
        BLOCK,
        int(plan.state_at[-1]),
        int(plan.width.max()),
        int(plan.width[-1]),
    )
    second = total if plan.channels.max() > 1 else 0
    hidden, layers, most = int(plan.population_at[-1]), len(plan.units), -(-steps // 2)
    backward = n * total * gradients
    return dict(
        saved=((-(-steps // span) if gradients else 1) * 3 * n * total,),
        potentials=(n * (span + 1) * total,),
        adjoints=(backward * (span + 4),),
        adjoints_1=(n * second * gradients * (span + 4),),
        gu=(backward,),
        leak=(2 * backward,),
        readout=(n, steps + 1, classes),
        spike_indptr=(layers - 1, n, steps + 1),
        spikes=(n * hidden * most,),
        indptr=(layers, n, steps + 1),
        arrived=(n * int(plan.rows[1:][plan.direct[1:] < 0].sum()) * most,),
        rows=(2, widest),
        peak=(n, classes),
        slope=(n, classes),
        pull=(n, hidden + WIDTH),
    )
