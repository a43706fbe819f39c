"""The tables of docs/comparisons.md on lazy training."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis.collect import BEST
from fdi.analysis.conditions import accuracies, moments
from fdi.analysis.derived import QUANTITIES
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT
from fdi.figures.catalogue import FIGURES
from pages.tables import cell, having, markdown, unmeasured, versus

LAZY = FIGURES["lazy"]
LIMIT, SAMPLES = "trainer.stop_at_loss", "dataset.max_train"
USUAL = 1.0  # sigma_U
DECAY, SIGMA = "optimizer.weight_decay", "init.sigma_u"
DECAYED = f"{LAZY.COMMAND} optimizer=adam optimizer._target_=torch.optim.AdamW {DECAY}=0,0.1"


def laziness(measured: Results) -> str:
    """For each network a row per number of samples and spread: test accuracy after the last epoch,
    its difference to that of the usual spread, and with the weights of the best validation epoch.
    """
    parts = []
    for _, runs in LAZY.compared(measured):
        network = f"{runs['dataset'].iloc[0]}, {runs['model'].iloc[0]}"
        runs = runs.assign(
            samples=runs["shade"],
            reached=runs["train_loss_last"] <= runs[LIMIT],
            **{name: QUANTITIES[name].of(runs) for name in ("epochs", "moved", "alignment")},
        )
        parts.append(f"**{network}**\n\n{markdown(pd.DataFrame(_spreads(runs)))}")
    return "\n".join(parts) or unmeasured(LAZY.COMMAND)


def _spreads(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    keys = ["samples", "x"]
    last = accuracies(runs, keys, within=["samples"], base={"x": USUAL})
    best = moments(runs, keys, BEST, PERCENT, PERCENT).set_index(keys)
    means = runs.groupby(keys, dropna=False)[["reached", "epochs", "moved", "alignment"]].mean()
    for row in last.to_dict("records"):
        at = row["samples"], row["x"]
        yield {
            "samples": "all" if pd.isna(row["samples"]) else f"{row['samples']:.0f}",
            "sigma_U": f"{row['x']:g}",
            "runs that reach the loss": f"{PERCENT * means.loc[at, 'reached']:.0f} %",
            "epochs": f"{means.loc[at, 'epochs']:.0f}",
            "test accuracy (%)": cell(row),
            f"minus sigma_U = {USUAL:g}": versus(row),
            "best on validation (%)": f"{best.loc[at, 'mean']:.1f}",
            "movement of hidden weights": f"{means.loc[at, 'moved']:.2f}",
            "alignment": f"{means.loc[at, 'alignment']:.2f}",
        }


def decaying(measured: Results) -> str:
    """A row per spread and weight decay of AdamW, for networks that were trained to an equal
    training loss with several, and the difference to no decay.
    """
    runs = having(measured.runs, LIMIT, SAMPLES, DECAY)
    adamw = runs["optimizer._target_"].str.endswith("AdamW")
    runs = runs[adamw & (runs["state"] == "done") & runs[LIMIT].notna()]
    runs = runs.assign(moved=QUANTITIES["moved"].of(runs), samples=runs[SAMPLES])
    parts = []
    for (dataset, model, samples), network in runs.groupby(["dataset", "model", "samples"]):
        if network[DECAY].nunique() > 1:
            title = f"**{dataset}, {model}, {samples:.0f} samples, AdamW**"
            parts.append(f"{title}\n\n{markdown(pd.DataFrame(_decays(network)))}")
    return "\n".join(parts) or unmeasured(DECAYED)


def _decays(network: pd.DataFrame) -> Iterator[dict[str, str]]:
    keys = [SIGMA, DECAY]
    table = accuracies(network, keys, within=[SIGMA], base={DECAY: 0.0})
    means = network.groupby(keys)[["epoch", "moved"]].mean()
    for row in table.to_dict("records"):
        at = row[SIGMA], row[DECAY]
        yield {
            "sigma_U": f"{row[SIGMA]:g}",
            "weight decay": f"{row[DECAY]:g}",
            "epochs": f"{means.loc[at, 'epoch']:.0f}",
            "test accuracy (%)": cell(row),
            "minus no decay": versus(row),
            "movement of hidden weights": f"{means.loc[at, 'moved']:.2f}",
        }
