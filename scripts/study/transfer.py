"""In which unit the best step of one network is that of another: `python scripts/study/transfer.py
FOLDER ...` prints the best step of each network in each unit; the largest over the smallest along
each axis; and the points lost, as means and worst cases, where all networks but one choose the step
of that one. It draws transfer.png in the working directory. The runs are those below the folders,
of experiment=transfer or of any choice of steps on validation, as in results/reference.

The best step is the geometric mean of the steps whose validation accuracy after the last epoch, a
mean over seeds, is at most 1 point or one standard error below the highest, since there are
plateaus. Networks that reach less than twice chance at every step are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig

from fdi.analysis.results import of_folder
from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.config.identity import plain
from fdi.engine.reference import ReferenceEngine
from fdi.figures import style
from fdi.init.strategy import seen
from fdi.init.theory import psp_kernel_integrals
from fdi.runner import build
from fdi.runner.training import batch, initial_network
from fdi.snn.neuron import INPUT

AXES = {
    "width": "model.hidden",
    "depth": "model.depth",
    "batch": "trainer.batch_size",
    "duration": "duration",
    "dt": "dataset.dt",
}
GRID = "trainer.lr_relative"
FAMILY = ["dataset", "model", "init", "trainer.epochs", GRID]
NETWORK = [*FAMILY, *AXES.values()]
KEYS = ["seed", "dataset.steps", "dataset.samples", "model.filters", "optimizer.eps"]
UNITS = ["noise", "one direction", "at the input's rate", "measured"]


def choices(folders: list[Path]) -> pd.DataFrame:
    """The runs without bounds and floor that choose among at least 4 steps."""
    runs = pd.concat([of_folder(folder).runs for folder in folders])
    free = ~runs["homeostasis.joint"].astype(bool) & (runs["optimizer.eps"] < 1e-30)
    runs = runs[(runs["state"] == "untested") & free]
    runs = runs.assign(duration=runs["dataset.steps"] * runs["dataset.dt"])
    runs[[*AXES.values()]] = runs[[*AXES.values()]].fillna(0)  # what a network lacks
    steps = runs.groupby(NETWORK)["optimizer.lr"].transform("nunique")
    return runs[(steps >= 4) & (runs["duration"] > 0)]


def best(runs: pd.DataFrame) -> pd.DataFrame:
    """By network: `lr`, the best step, and `valid`, the mean validation accuracy at each step."""
    rows = []
    for network, steps in runs.groupby(NETWORK):
        valid = steps.groupby("optimizer.lr")["valid_accuracy_last"]
        means, error = valid.mean(), np.sqrt((valid.var() / valid.size()).mean())
        good = means.index[means >= means.max() - max(0.01, error)].to_numpy()
        if means.max() >= 2 / steps["classes"].iloc[0]:
            step = np.exp(np.log(good).mean())
            rows.append(dict(zip(NETWORK, network)) | {"lr": step, "valid": means})
    return pd.DataFrame(rows)


def moves(n: float, nu: float, size: float, taus: Sequence[float]) -> tuple[float, float]:
    """What a step of `size` of all n weights onto a neuron does to its potential, if the changes
    add up like noise (a spread), and if they add up in one direction (a mean).

        size sqrt(n nu eps_hat),    size n nu eps_bar

    `nu`: rate of the sources in Hz; `taus`: tau_mem, tau_syn and dt in s.
    """
    eps_bar, eps_hat = psp_kernel_integrals(*taus)
    return size * np.sqrt(n * nu * eps_hat), size * n * nu * eps_bar


def layers(config: DictConfig) -> pd.DataFrame:
    """What a step of lr = 1 does to the potentials of each hidden layer, in thresholds, by its own
    weights alone, a column for each of UNITS: as noise, and in one direction, at the measured rates
    of the sources (0 where they are silent) and at the rate of the input; and as measured, against
    the sign of the gradient, the root mean square over neurons, time and samples without reset.
    """
    data, engine = build.dataset(config), ReferenceEngine()
    network = build.network(config, data)
    device = build.device(config)
    context = build.run_context(config, plain(config), Path(), None, data, device, network, engine)
    inputs, labels = batch(context)
    initial = initial_network(context)[0]
    engine.step(initial, inputs, labels, context.phases[-1].objective)
    before = engine.simulate(initial, inputs, ("free", "moments"))
    heard, found = build.input_rate(data, network), []
    for layer in initial.hidden:
        noise, direction, usual, weights = 0.0, 0.0, 0.0, initial.weights()
        for each in initial.afferents(layer.name):
            weight = each.weight.detach()
            size = float(weight.square().mean().sqrt()) if config.trainer.lr_relative else 1.0
            weights[each.name] = weight - size * each.weight.grad.sign()
            taus = (layer.neuron.tau_mem, layer.neuron.tau_syn[each.channel], data.dt)
            nu = heard if each.source == INPUT else seen(before, each, data.dt)
            own_noise, own_direction = moves(each.fan_in, nu, size, taus)
            noise, direction = np.hypot(noise, own_noise), direction + own_direction
            usual += moves(each.fan_in, heard, size, taus)[1]
        network.load_weights(weights)
        after = engine.simulate(network, inputs, ("free",)).free[layer.name]
        measured = float((after - before.free[layer.name]).square().mean().sqrt())
        found.append(np.array([noise, direction, usual, measured]) / layer.neuron.theta)
    return pd.DataFrame(found, columns=UNITS)


def in_units(runs: pd.DataFrame) -> pd.DataFrame:
    """`best`, with what the step does to the layer that it moves most, in UNITS, at the lowest
    seed.
    """
    table = best(runs)
    first = runs.sort_values("seed").drop_duplicates(NETWORK)
    rows = table[NETWORK].merge(first.reindex(columns=[*NETWORK, *KEYS]), on=NETWORK)
    for row, network in rows.iterrows():
        given = network.drop("duration").dropna().items()
        words = [f"{key}={str(value).removesuffix('.0')}" for key, value in given if value]
        (cell,) = compose_cells(parse(["homeostasis=none", "optimizer.precision=float64", *words]))
        table.loc[row, UNITS] = (table["lr"][row] * layers(cell.config).max()).to_numpy()
    return table


def along(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By axis, the networks that differ from the usual one in nothing else; and all of them."""
    usual = {key: table[key].mode().iloc[0] for key in AXES.values()}
    found = {"all": table}
    for axis, key in AXES.items():
        rows = table[np.logical_and.reduce([table[k] == usual[k] for k in usual if k != key])]
        if rows[key].nunique() > 1:
            found[axis] = rows
    return found


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """By family and unit: the largest best step over the smallest along each axis; and the points
    lost, on average and at worst, at the geometric mean of the best steps of the other networks.
    """
    found = {}
    for family, rows in table.groupby(FAMILY):
        for unit in ("lr", *UNITS):
            logs = np.log(rows[unit].to_numpy())
            others = (logs.sum() - logs) / max(1, len(logs) - 1)
            steps = np.log(rows["lr"].to_numpy()) + others - logs
            lost = [
                100 * (valid.max() - np.interp(step, np.log(valid.index), valid))
                for valid, step in zip(rows["valid"], steps)
            ]
            found[(*family, unit)] = {
                axis: of[unit].max() / of[unit].min() for axis, of in along(rows).items()
            } | {"lost": np.mean(lost), "most": max(lost)}
    return pd.DataFrame.from_dict(found, orient="index").query("all > 1")


def picture(table: pd.DataFrame) -> Figure:
    """What the best step of each network is in each unit, over the geometric mean of its family;
    grey: within a factor of 2 of each other.
    """
    figure = Figure(figsize=(2 * len(UNITS) + 2, 2.2), layout="constrained")
    panels = figure.subplots(1, len(UNITS) + 1, sharey=True)
    for axes, unit in zip(panels, ("lr", *UNITS)):
        for family, rows in table.groupby(FAMILY):
            init, values = family[FAMILY.index("init")], rows[unit]
            values = values / np.exp(np.log(values).mean())
            axes.plot(rows["lr"], values, **style.init_look(init, line=False), label=init)
        axes.axhspan(2**-0.5, 2**0.5, color="0.9", zorder=0)
        axes.set(xscale="log", yscale="log", title=unit, xlabel="best step")
    panels[0].set_ylabel("over its geometric mean")
    panels[0].legend(fontsize=6)
    return figure


def main(folders: list[Path]) -> None:
    torch.set_num_threads(1)  # the layers are too small for more
    runs = choices(folders)
    table = in_units(runs)
    picture(table).savefig("transfer.png", dpi=200)
    print(table.drop(columns="valid").to_string(index=False, float_format="%.3g"))
    print(ratios(table).to_string(float_format="%.1f"))


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
