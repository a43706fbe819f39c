"""What is measured: networks, random input, and the constants that all libraries share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fdi.data.inputs import Events
from fdi.init.fluct import Fluct
from fdi.init.strategy import draw_weights
from fdi.snn import models
from fdi.snn.network import Network
from fdi.snn.neuron import lif

DT, TAU_MEM, TAU_SYN, CLASSES, SLOPE, U_INIT = 2e-3, 20e-3, 10e-3, 20, 20.0, -1e-3
DENSITY, LR = 0.015, 1e-4
BETA, ALPHA = math.exp(-DT / TAU_MEM), math.exp(-DT / TAU_SYN)


def _dense(about: str, *sizes: int, steps: int = 100, batch: int = 256, **more: Any) -> dict:
    """A fully connected network on 700 inputs."""
    given = dict(about=about, steps=steps, batch=batch, shape=(700,), sizes=sizes)
    return given | more


def _conv(about: str, shape: tuple, sizes: tuple, steps: int, **more: Any) -> dict:
    """Convolutions, of 3 x 3 and a batch of 32 unless said otherwise."""
    given = dict(about=about, steps=steps, batch=32, shape=shape, sizes=sizes)
    return given | dict(kernel=(3,) * len(sizes)) | more


RGB = (3, 32, 32)
WORKLOADS = {
    "dense": _dense("dense 700-128-20", 128),
    "recurrent": _dense("recurrent 700-128r-20", 128, recurrent=True),
    "deep": _dense("deep 700-3x128-20", 128, 128, 128),
    "conv": _conv(
        "conv 3x32x32, 32-64-128 filters 3x3, max pooling 2", RGB, (32, 64, 128), 50,
        padding=1, pool=(2, 2, 2),
    ),
    "dale": _dense("Dale 700-(128E+32I)-20", 128, dale=True),
    "long": _dense("dense 700-128-20, T = 350, batch 400", 128, steps=350, batch=400),
}  # fmt: skip
PAPER = {
    "shd conv": _conv(
        "conv 700, 16r-32r-64r filters of 21-7-7, T = 350", (1, 700), (16, 32, 64), 350,
        kernel=(21, 7, 7), stride=(10, 3, 3), recurrent_kernel=5,
    ),
    "shd deep": _conv(
        "conv 700, 16r-32r-5x64r filters of 7, then 5, T = 350", (1, 700), (16, 32, *(64,) * 5),
        350, kernel=(7, *(5,) * 6), stride=(3, *(2,) * 6), padding=2, recurrent_kernel=5,
    ),
    "cifar10": _conv(
        "conv 3x32x32, 2x32-2x64 filters 3x3, T = 100, batch 32", RGB, (32, 32, 64, 64), 100,
        padding=2, pool=(1, 2) * 2,
    ),
    "dvs": _conv(
        "conv 2x32x32, 2x16-2x32-2x64-2x128 filters 3x3, T = 500, batch 8", (2, 32, 32),
        (16, 16, 32, 32, 64, 64, 128, 128), 500, batch=8, padding=2, pool=(1, 2) * 4,
    ),
}  # fmt: skip
"""Convolutions of the size of the paper's; of the other libraries only stork computes them."""
FIELD = {
    "sew": _conv(
        "conv 3x32x32, 8x32 filters 3x3, tdBN, skip connections, T = 20", RGB, (32,) * 8, 20,
        padding=1, skip=True, norm="tdbn", gain=3.0,  # some 20 spikes a second
    ),
    "plif": dict(WORKLOADS["conv"], about="conv, learned tau_mem", learn_tau=True),
}  # fmt: skip
"""What is trained elsewhere: normalization as in SEW-ResNet, time constants as in PLIF [Fang et al.
2021, both]. SpikingJelly computes them.
"""
DEFAULT = {
    "default": dict(
        WORKLOADS["dense"],
        about="dense 20-128-20, batch 250 (the default run's)",
        batch=250,
        shape=(20,),
    )
}
"""The size of Randman, where spikes are so few that all but the updates of neurons is small."""


def batch(work: dict) -> tuple[Events, np.ndarray]:
    """Random events of the workload's density, and random labels."""
    rng = np.random.default_rng(0)
    rows, size = work["batch"] * work["steps"], int(np.prod(work["shape"]))
    counts = rng.binomial(size, work.get("density", DENSITY), rows)
    units = np.concatenate([np.sort(rng.choice(size, n, replace=False)) for n in counts]).astype(
        np.int32
    )
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Events(indptr, units, work["shape"], work["steps"]), rng.integers(
        0, CLASSES, work["batch"]
    )


def network(work: dict) -> Network:
    """The workload's network in fdi, in the fluctuation-driven state (some 10 spikes a second), on
    the CPU whatever torch's default device is.
    """
    with torch.device("cpu"):
        return _drawn(work)


def _drawn(work: dict) -> Network:
    given = dict(
        input_shape=work["shape"],
        classes=work.get("classes", CLASSES),
        steps=work["steps"],
        dt=DT,
        readout_u_init=U_INIT,
    )
    if "kernel" in work:
        shapes = ("kernel", "stride", "padding", "pool", "recurrent_kernel")
        given |= {"padding": 0} | {name: work[name] for name in shapes if name in work}
        given |= {name: work[name] for name in ("skip", "norm") if name in work}
        neuron = lif(learn_tau=work.get("learn_tau", False))
        net = models.conv(filters=work["sizes"], neuron=neuron, **given)
    elif work.get("dale"):
        net = models.dale(excitatory=work["sizes"], inhibitory=32, **given)
    else:
        net = models.dense(hidden=work["sizes"], recurrent=work.get("recurrent", False), **given)
    nu = {p.name: 40.0 if p.pool > 1 else 14.0 for p in net.hidden}
    draw_weights(
        net,
        Fluct(nu=nu),
        Fluct(nu=nu),
        nu_input=work.get("nu_input", work.get("density", DENSITY) / DT),
        measure=None,
        generator=torch.Generator().manual_seed(work.get("seed", 0)),
    )
    for name in net.norms:
        net.scale(name, work["gain"])
    return net
