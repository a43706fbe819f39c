"""Long trials within a given memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fdi.data.inputs import Constant
from fdi.engine.cpu import CpuEngine
from fdi.engine.cpu.program import Memory
from fdi.snn.models import conv, dale, dense
from fdi.snn.objective import Objective

GIB, STEPS = 2**30, 400
GIVEN: dict[str, Any] = dict(classes=4, steps=STEPS, dt=2e-3)
NETWORKS = {
    "dense": lambda: dense((30,), hidden=[64, 64], recurrent=True, **GIVEN),
    "dale": lambda: dale((30,), excitatory=32, inhibitory=8, **GIVEN),
    "conv": lambda: conv((2, 12, 12), filters=[8, 8, 16], pool=[1, 2, 1], **GIVEN),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auto_takes_the_fewest_windows_whose_memory_fits(name, dtype):
    memory = Memory(NETWORKS[name]())

    def used(span: int) -> float:
        with memory.work(STEPS, span, True, np.dtype(dtype)) as work:
            return sum(part.nbytes for part in work if isinstance(part, np.ndarray)) / GIB

    assert memory.span(STEPS, np.dtype(dtype), 1, "auto", used(STEPS)) == STEPS
    limit = 0.9 * used(STEPS)
    span = memory.span(STEPS, np.dtype(dtype), 1, "auto", limit)
    windows = -(-STEPS // span)
    assert used(span) <= limit < used(-(-STEPS // (windows - 1)))
    assert memory.span(STEPS, np.dtype(dtype), 2, "auto", 2 * limit) == span


@pytest.mark.parametrize("name", NETWORKS)
def test_too_little_memory_is_refused_with_what_would_do(name):
    network = NETWORKS[name]().double()
    x, labels = Constant(np.ones((2, *network.input_shape)), STEPS), np.array([0, 1])
    with pytest.raises(
        ValueError, match=r"engine.memory = 1e-06 GiB; raise engine.memory, or lower threads"
    ) as refusal:
        CpuEngine(2, checkpoint="auto", memory=1e-6).step(network, x, labels, Objective())
    needed = re.search(r"need ([^ ]+) GiB", str(refusal.value))
    assert needed is not None
    enough = float(needed[1])
    CpuEngine(2, checkpoint="auto", memory=1.01 * enough).step(network, x, labels, Objective())
