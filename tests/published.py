"""The published equations of each kind of neuron, beside those that fdi derives from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fdi.snn.neuron import KINDS

DT = 2e-3
exp = np.exp
Equations: TypeAlias = Callable[..., tuple]
"""(threshold, leak, D, the next state) of the neuron, 1 - beta_m, U, current, S and state."""
BY_NAME: dict[str, Equations] = {
    "lif": lambda n, g, u, i, s: (1, 1 - g, g * i),
    "alif": lambda n, g, u, i, s, a, before: (
        1, 1 - g, g * (i - n.a * a), exp(-DT / n.tau_ada) * a + before, s,
    ),
    "adlif": lambda n, g, u, i, s, a: (
        1, 1 - g, g * (i - a),
        exp(-DT / n.tau_w) * a + (1 - exp(-DT / n.tau_w)) * n.a * u + n.b * s,
    ),
    "adaptive_threshold": lambda n, g, u, i, s, a, rest: (
        1 + n.b * a, 1 - g, g * i, exp(-DT / n.tau_ada) * a + s,
        np.where(s > 0, round(n.t_ref / DT), np.maximum(rest - 1, 0)),
    ),
    "qif": lambda n, g, u, i, s: (1, 1 - g, g * (i + u * u / n.u_c)),
    "eif": lambda n, g, u, i, s: (
        1, 1 - g, g * (i + n.delta * exp((np.minimum(u, 1) - n.u_t) / n.delta)),
    ),
    "izhikevich": lambda n, g, u, i, s, w: (
        1, 1 - g, g * (i + u * u / n.u_c - w),
        exp(-DT / n.tau_w) * w + (1 - exp(-DT / n.tau_w)) * n.b * u + n.d * s,
    ),
    "resonate_and_fire": lambda n, g, u, i, s, v: (
        1, ((1 - g) * exp(1j * n.omega * DT)).real,
        g * i + ((u + 1j * v) * (1 - g) * exp(1j * n.omega * DT)).real
        - ((1 - g) * exp(1j * n.omega * DT)).real * u,
        ((u + 1j * v) * (1 - g) * exp(1j * n.omega * DT)).imag,
    ),
}  # fmt: skip
PUBLISHED = {type(made()): BY_NAME[name] for name, made in KINDS.items()}
