"""In which unit the best step of one network is that of another: `python scripts/study/transfer.py
RESULTS` prints the ratio of the largest to the smallest best step along each axis of
experiment=transfer, in each unit, and writes transfer.csv and transfer.png into RESULTS.

The best step of a network is the geometric mean of the steps whose validation accuracy after the
last epoch, a mean over seeds, is at most 1 point or one standard error below the highest, since
there are plateaus. Networks that reach less than twice chance at every step are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from fdi.analysis.results import own
from fdi.engine.reference import ReferenceEngine
from fdi.figures import style
from fdi.init.strategy import seen
from fdi.init.theory import psp_kernel_integrals
from fdi.runner import build
from fdi.runner.training import batch, initial_network
from fdi.snn.neuron import INPUT
from fdi.track import record

AXES = {
    "width": "model.hidden",
    "depth": "model.depth",
    "batch": "trainer.batch_size",
    "duration": "duration",
    "dt": "dataset.dt",
}
GRID = "trainer.lr_relative"
NETWORK = ["dataset", "model", "init", *AXES.values()]
UNITS = ["noise", "one direction", "at the rate of the input", "measured"]
SUM = ", sum"
ALL = ["lr", *UNITS, *(unit + SUM for unit in UNITS)]


def best(runs: pd.DataFrame) -> pd.DataFrame:
    """By network and grid: `lr`, the best step; `accuracy`, the highest; `end`, whether a step at
    an end of the grid is among the best.
    """
    found = {}
    for network, steps in runs.groupby([*NETWORK, GRID], dropna=False):
        valid = steps.groupby("optimizer.lr")["valid_accuracy_last"]
        means, error = valid.mean(), np.sqrt((valid.var() / valid.size()).mean())
        good = means.index[means >= means.max() - max(0.01, error)].to_numpy()
        found[network] = {
            "lr": np.exp(np.log(good).mean()),
            "accuracy": means.max(),
            "end": means.index[0] in good or means.index[-1] in good,
            "guesses": means.max() < 2 / steps["classes"].iloc[0],
        }
    table = pd.DataFrame.from_dict(found, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=[*NETWORK, GRID])
    return table[~table.pop("guesses")].reset_index()


def moves(
    n: float, nu: float, size: float, taus: tuple[float, float, float]
) -> tuple[float, float]:
    """What a step of `size` of all n weights onto a neuron does to its potential, if the changes
    add up like noise (a spread), and if they add up in one direction (a mean).

        size sqrt(n nu eps_hat),    size n nu eps_bar

    `nu`: rate of the sources in Hz; `taus`: tau_mem, tau_syn and dt in s.
    """
    eps_bar, eps_hat = psp_kernel_integrals(*taus)
    return size * np.sqrt(n * nu * eps_hat), size * n * nu * eps_bar


def layers(directory: Path) -> pd.DataFrame:
    """What a step of lr = 1 does to the potentials of each hidden layer, in thresholds, by its own
    weights alone, a column for each of UNITS: as noise, and in one direction, at the measured rates
    of the sources (0 where they are silent) and at the rate of the input; and as measured, against
    the sign of the gradient, the root mean square over neurons, time and samples without reset.
    """
    config = OmegaConf.create(record.look(directory).config)
    data, engine = build.dataset(config), ReferenceEngine()
    network = build.network(config, data)
    context = build.RunContext(
        config=config,
        directory=directory,
        view=None,
        data=data,
        device=build.device(config),
        network=network,
        engine=engine,
        optimizer=build.optimizer(config, network),
        schedule=None,
        phases=build.training_phases(config, data),
    )
    inputs, labels = batch(context)
    initial, _ = initial_network(context)
    engine.step(initial, inputs, labels, context.phases[-1].objective)
    before, heard = (
        engine.simulate(initial, inputs, ("free", "moments")),
        build.input_rate(data, network),
    )
    found = []
    for layer in initial.hidden:
        noise, direction, usual, weights = 0.0, 0.0, 0.0, initial.weights()
        for each in initial.afferents(layer.name):
            weight = each.weight.detach()
            size = float(weight.square().mean().sqrt()) if config.trainer.lr_relative else 1.0
            weights[each.name] = weight - size * each.weight.grad.sign()
            taus = layer.neuron.tau_mem, layer.neuron.tau_syn[each.channel], data.dt
            nu = heard if each.source == INPUT else seen(before, each, data.dt)
            own_noise, own_direction = moves(each.fan_in, nu, size, taus)
            noise, direction = np.hypot(noise, own_noise), direction + own_direction
            usual += moves(each.fan_in, heard, size, taus)[1]
        network.load_weights(weights)
        after = engine.simulate(network, inputs, ("free",)).free[layer.name]
        measured = float((after - before.free[layer.name]).square().mean().sqrt())
        found.append([noise, direction, usual, measured])
    table = pd.DataFrame(found, columns=UNITS) / layer.neuron.theta
    return table.assign(path=str(directory), layer=range(1, len(found) + 1))


def in_units(runs: pd.DataFrame) -> pd.DataFrame:
    """The best step of each network, grid, seed and hidden layer in UNITS."""
    keys = [*NETWORK, GRID]
    firsts = runs.drop_duplicates([*keys, "seed"])[[*keys, "seed", "path"]].merge(best(runs))
    table = firsts.merge(pd.concat(layers(Path(path)) for path in firsts["path"]))
    table[UNITS] = table[UNITS].mul(table["lr"], axis=0)
    return table


def of_network(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each network and grid: its best step in each of UNITS, of the layer that moves
    most, and as the sum over layers; geometric means over seeds.
    """
    keys = [*NETWORK, GRID, "accuracy", "end", "lr"]
    layers_of = table.groupby([*keys, "seed"], dropna=False)[UNITS]
    of_seeds = layers_of.max().join(layers_of.sum().add_suffix(SUM))
    return np.exp(np.log(of_seeds).groupby(keys, dropna=False).mean()).reset_index()


def along(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By axis, the networks that differ from the usual one in nothing else; and all of them."""
    usual = {key: table[key].mode().iloc[0] for key in AXES.values() if table[key].notna().any()}
    found = {"all": table}
    for axis, key in AXES.items():
        others = [table[other] == value for other, value in usual.items() if other != key]
        rows = table[np.logical_and.reduce(others)].sort_values(key)
        if rows[key].nunique() > 1:
            found[axis] = rows
    return found


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The largest best step over the smallest, by grid, unit and initial state, for each axis."""
    found = {}
    for (dataset, model, init, relative), rows in table.groupby([*NETWORK[:3], GRID]):
        for unit in ALL:
            grid = "relative" if relative else "absolute"
            found[dataset, model, init, grid, unit] = {
                axis: of[unit].max() / of[unit].min() for axis, of in along(rows).items()
            }
    return pd.DataFrame.from_dict(found, orient="index")


def picture(table: pd.DataFrame) -> Figure:
    """Best steps over those of the usual network, a panel for each grid and unit; grey: within a
    factor of 2 of each other.
    """
    grids = sorted(table[GRID].unique())
    figure = Figure(figsize=(2.2 * len(ALL), 2.2 * len(grids)), layout="constrained")
    panels = figure.subplots(len(grids), len(ALL), squeeze=False, sharey=True)
    for (grid, unit), axes in zip([(g, u) for g in grids for u in ALL], panels.flat):
        for init, rows in table[table[GRID] == grid].groupby("init"):
            lines = {axis: of for axis, of in along(rows).items() if axis != "all"}
            start, ticks = 0, []
            for axis, of in lines.items():
                places = range(start, start + len(of))
                relative = of[unit] / np.exp(np.log(rows[unit]).mean())
                axes.plot(places, relative, marker="o", markersize=3, color=style.color(init))
                ticks += [
                    f"{axis} {of[AXES[axis]].iloc[0]:g}",
                    *(f"{v:g}" for v in of[AXES[axis]][1:]),
                ]
                start += len(of)
            axes.set_xticks(range(start), ticks, rotation=90, fontsize=6)
        axes.axhspan(2**-0.5, 2**0.5, color="0.9")
        axes.set_yscale("log")
        axes.set_title(f"{unit} ({'relative' if grid else 'absolute'} steps)", fontsize=7)
    panels[0, 0].set_ylabel("best step / geometric mean")
    return figure


def main(folder: Path) -> None:
    runs = own(folder).runs.query("state == 'untested'").copy()
    runs["duration"] = runs["dataset.steps"] * runs["dataset.dt"]
    torch.set_num_threads(1)  # the layers are too small for more
    whole = in_units(runs)
    whole.to_csv(folder / "transfer.csv", index=False)
    table = of_network(whole)
    picture(table).savefig(folder / "transfer.png", dpi=200)
    print(table.drop(columns=NETWORK[:2]).to_string(index=False, float_format="%.3g"))
    print(ratios(table).to_string(float_format="%.1f"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
