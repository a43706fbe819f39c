"""What the simulations share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.signal import lfilter

from fdi.data.inputs import Frames


def poisson_input(
    rng: np.random.Generator, trials: int, steps: int, units: int, nu: float, dt: float
) -> Frames:
    """Independent spikes of rate `nu` in Hz, at most one a step of `dt` seconds."""
    return Frames((rng.random((trials, steps, units), dtype=np.float32) < nu * dt).astype(np.uint8))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(x: ArrayLike, y: ArrayLike, **labels: object) -> pd.DataFrame:
    """A part of a tidy table: labels, x, y."""
    return pd.DataFrame({**labels, "x": np.ravel(x), "y": np.ravel(y)})


def histogram(values: ArrayLike, edges: Sequence[float], **labels: object) -> pd.DataFrame:
    """Density of `values` at the centres of the bins."""
    density, edges = np.histogram(np.ravel(values), edges, density=True)
    return rows((edges[1:] + edges[:-1]) / 2, density, **labels)


def raster(spikes_TN: ArrayLike, dt: float, **labels: object) -> pd.DataFrame:
    """x: time of each spike in s, y: its unit."""
    steps, units = np.nonzero(np.asarray(spikes_TN))
    return rows(steps * dt, units, **labels)


def free_potential(current_TN: ArrayLike, tau_mem: float, tau_syn: float, dt: float) -> np.ndarray:
    """The potential that delivered weights cause without reset (delays of the simulator aside), [T,
    N].
    """
    beta_m, beta_s = np.exp(-dt / tau_mem), np.exp(-dt / tau_syn)
    synaptic = lfilter([1], [1, -beta_s], np.asarray(current_TN, dtype=float), axis=0)
    return lfilter([1 - beta_m], [1, -beta_m], synaptic, axis=0)
