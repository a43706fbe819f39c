"""Networks of snnTorch: rates as examples/snntorch_init.py measures them, what the code of a page
prints, and the spread of the potential by the formula of snnTorch's pull request 457 and by fdi's.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from fdi import initialize
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.init import fluctuation_driven_normal_
from fdi.init.theory import psp_kernel, psp_kernel_integrals, trial
from fdi.init.theory import spread as spread_of
from fdi.interop import probe
from pages.tables import markdown

EXAMPLE = Path(__file__).parents[3] / "examples" / "snntorch_init.py"
STATES = ("PyTorch's default", "`initialize`", "`initialize`, calibrated on a batch")


def rates(measured: Results | None = None) -> str:
    """A row for each state of the network, a column for each layer, in Hz."""
    rates = runpy.run_path(str(EXAMPLE))["main"]()
    layers = {f"layer {i}": map("{:.3g}".format, hertz) for i, hertz in enumerate(zip(*rates), 1)}
    return markdown(pd.DataFrame({"rate (Hz)": STATES, **layers}))


def asked(measured: Results | None = None) -> str:
    """What a recipe answers those who asked in public; a row for each of examples/threads.py."""
    example = runpy.run_path(str(EXAMPLE.with_name("threads.py")))
    rows = []
    for name, ask in example["QUESTIONS"].items():
        found = example["main"](name)
        link = re.search(r"https://\S+/(\w+)/issues/(\d+)", ask.__doc__)
        row = {"asked in": f"[{link[1]} #{link[2]}]({link[0]})"}
        row["before (%)"] = f"{PERCENT * found.before:.1f}"
        row["recipe"] = "; ".join(f"`{line}`" for line in found.lines) or found.state
        row["after (%)"] = f"{PERCENT * found.after:.1f}"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


WHY = Path(__file__).parents[3] / "docs" / "howto" / "why-not-learning.md"


@functools.cache
def printed(page: Path = WHY) -> list[str]:
    """What each block of Python of a page prints, one after the other."""
    names: dict[str, object] = {}
    blocks = []
    for code in re.findall(r"(?ms)^```python\n(.*?)^```", page.read_text("utf-8")):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, page.name, "exec"), names)
        blocks.append(f"```text\n{out.getvalue()}```\n")
    return blocks


INPUTS, NEURONS, STEPS, BATCH = 784, 256, 600, 4
NU, DT, TAU_MEM, TAU_SYN = 10.0, 1e-3, 20e-3, 5e-3  # Hz and s, as in the example of the request

EPS_HAT = {  # s, in the two modes of the request
    "analytical": TAU_SYN**2 / (2 * (TAU_SYN + TAU_MEM)),
    "numerical": psp_kernel_integrals(TAU_MEM, TAU_SYN, DT)[1],
}


def compared(measured: Results | None = None) -> str:
    """A row for each kind of neuron: the measured spread in units of theta, where 1 is aimed at."""
    found = {"that which #457 assumes": assumed()} | {name: spreads(name) for name in neurons()}
    rows = [
        {"neuron": name} | {how: f"{spread:.3g}" for how, spread in row.items()}
        for name, row in found.items()
    ]
    return markdown(pd.DataFrame(rows).fillna("-"))


def assumed() -> dict[str, float]:
    """Of the LIF neuron of the paper, step by step, in units of what a trial shows of it."""
    beta_m, beta_s = math.exp(-DT / TAU_MEM), math.exp(-DT / TAU_SYN)
    torch.manual_seed(0)
    weight = torch.empty(NEURONS, INPUTS)
    spikes = (torch.rand(STEPS, BATCH, INPUTS) < NU * DT).float()

    shown = trial(psp_kernel(TAU_MEM, TAU_SYN, DT), STEPS)

    def spread() -> float:
        current = u = torch.zeros(BATCH, NEURONS)
        trace = []
        for arriving in spikes @ weight.T:
            u, current = beta_m * u + (1 - beta_m) * current, beta_s * current + arriving
            trace.append(u)
        u = torch.stack(trace)
        means, temporal = u.mean(0), u.var(0, correction=0).mean(0)
        return spread_of(means.mean(0), temporal, means.var(0, correction=0), shown, analogue=False)

    found = {}
    for mode, eps_hat in EPS_HAT.items():
        nn.init.normal_(weight, 0.0, (INPUTS * NU * eps_hat) ** -0.5)
        found[f"#457, {mode}"] = spread()
    options = dict(nu=NU, tau_mem=TAU_MEM, tau_syn=TAU_SYN, dt=DT)
    fluctuation_driven_normal_(weight, sigma_u=1.0, **options)
    return found | {"fdi": spread()}


def neurons() -> dict[str, Callable[[], nn.Module]]:
    """By the call that makes them."""
    import snntorch

    beta, alpha = math.exp(-DT / TAU_MEM), math.exp(-DT / TAU_SYN)
    return {
        "`Leaky(beta=0.951)`": lambda: snntorch.Leaky(beta, init_hidden=True),
        "`Leaky(beta=0.951, threshold=2)`": lambda: snntorch.Leaky(
            beta, threshold=2.0, init_hidden=True
        ),
        "`Synaptic(alpha=0.819, beta=0.951)`": lambda: snntorch.Synaptic(
            alpha, beta, init_hidden=True
        ),
        "`RLeaky(beta=0.951)`": lambda: snntorch.RLeaky(
            beta, linear_features=NEURONS, init_hidden=True, reset_mechanism="zero"
        ),
    }


def spreads(name: str) -> dict[str, float]:
    """The measured spread for each way to draw the weights."""
    import snntorch.utils

    torch.manual_seed(0)
    network: Any = nn.Sequential(nn.Linear(INPUTS, NEURONS, bias=False), neurons()[name]())
    spikes = (torch.rand(STEPS, BATCH, INPUTS) < NU * DT).float()

    def run_trial(batch: Tensor) -> list[Tensor]:
        snntorch.utils.reset(network)
        return [network(step) for step in batch]

    def spread() -> float:
        return probe(network, spikes, run_trial, dt=DT).layers[0].sigma_u or 0.0

    found = {}
    for mode, eps_hat in EPS_HAT.items():
        for weight in (p for p in network.parameters() if p.ndim == 2):
            nn.init.normal_(weight, 0.0, (weight.shape[1] * NU * eps_hat) ** -0.5)
        found[f"#457, {mode}"] = spread()
    initialize(network, "fluct", nu=NU, batch=spikes, dt=DT)
    found["fdi"] = spread()
    initialize(network, batch=spikes, dt=DT)
    found["fdi, calibrated"] = spread()
    return found
