"""What a recipe is worth on networks that nobody chose, drawn by a seed (experiment=zoo): at the
default step, at one constant for each optimizer, after the recipe, and for the first --best of them
after experiment=best: the initialization, step and eps that are best in validation.

    python scripts/study/recipe_zoo.py SEED NETWORKS [--best N] [WORDS ...]

Prints a row for each network: accuracy on the test set of each, and what the recipe cost, in whole
trainings; keeps them in recipe_zoo.csv; then paired differences over the networks with 95 %
intervals. All trainings are runs in results/, so that it goes on where it stopped.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from export_reference import write_with_source
from omegaconf import OmegaConf

import fdi
from fdi.analysis.recipe import RECIPE
from fdi.analysis.statistics import PERCENT, paired
from fdi.cli.compose import composed, fitting
from fdi.cli.tune import random_networks
from fdi.track.evidence import origin

CONSTANTS = {"smorms3": 1e-2, "adam": 5.4e-3, "sgd": 5.9e-2}
"""A step for each optimizer: the geometric mean of the best ones of networks that learn, in the zoo
of seed 0 (50, 46 and 30 of them; results/reference/zoo.csv until commit 6dc01e7).
"""
ZOO = ("experiment=zoo", "budget=laptop")


def main(seed: int, networks: int, best: int, words: list[str]) -> None:
    """Run what is left, and print it."""
    config: Any = composed("", [*ZOO, f"zoo.seed={seed}", f"zoo.networks={networks}"])
    trainer = [f"trainer.{key}={config.trainer[key]}" for key in ("batch_size", "epochs")]
    zoo: Any = OmegaConf.to_container(config.zoo)
    rows: list[dict[str, Any]] = []
    for member in random_networks(zoo, words):
        given = [*fitting("", member.words), *trainer, *words]
        optimizer = next(w.partition("=")[2] for w in given if w.startswith("optimizer="))
        row: dict[str, Any] = {"network": member.place, "kind": member.kind}
        row["default"] = _accuracy(*given)
        row["constant"] = _accuracy(*given, f"optimizer.lr={CONSTANTS[optimizer]}")
        found = fdi.recipe(*given)
        content = json.loads((found.folder / RECIPE).read_text()) if found.folder else {}
        row["recipe"] = row["default"] if found.after is None else found.after
        row |= {"state": found.state, "change": content.get("candidate"), "cost": content["cost"]}
        row["best"] = _best(given) if member.place < best else None
        row["words"] = " ".join(given)
        rows.append(row)
        print(pd.DataFrame([row]).to_string(index=False, header=len(rows) == 1), flush=True)
    table = pd.DataFrame(rows)
    table.insert(0, "seed", seed)
    of = origin(torch.device("cpu"), 1)
    made = f"commit {of['commit'][:7]}, torch {of['torch']}, {of['processor']}, {date.today()}"
    command = f"python scripts/study/recipe_zoo.py {seed} {networks} --best {best}"
    write_with_source(table, Path("recipe_zoo.csv"), f"{command} {' '.join(words)}, {made}")
    for other in ("default", "constant", "best"):
        both = table.dropna(subset=[other])
        if len(both):
            found = paired(PERCENT * both["recipe"], PERCENT * both[other].astype(float))
            interval = f"({found.low:+.1f}..{found.high:+.1f}, p = {found.p:.2g})"
            print(f"recipe - {other}: {found.mean:+.1f} {interval}, n = {found.n}")
    print(f"cost of a recipe: {np.mean(table['cost']):.2g} trainings and two for the proof")


def _accuracy(*words: str) -> float:
    """On the test set; 0 where the training fails."""
    result = fdi.sweep(*words, seed=[0])["test_accuracy_last"]
    return float(result.fillna(0.0).iloc[0]) if len(result) else 0.0


def _best(given: list[str]) -> float:
    """Of the initialization that is best in validation, at its own best step and eps."""
    fdi.sweep("experiment=best", "budget=laptop", *given, seed=[0])
    choices = (json.loads(p.read_text()) for p in Path("results/choices").glob("*/choice.json"))
    (sides,) = (c["sides"] for c in choices if {*given} <= {*c["sides"][0]["words"]})
    side = max(sides, key=lambda side: side["accuracy"] or 0.0)
    chosen = [f"{key}={value}" for key, value in (side["candidate"] or {}).items()]
    return _accuracy(*given, f"init={side['init']}", *chosen)


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("seed", type=int)
    parser.add_argument("networks", type=int)
    parser.add_argument("--best", type=int, default=0)
    parser.add_argument("words", nargs="*")
    main(**vars(parser.parse_intermixed_args()))
