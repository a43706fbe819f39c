"""What a recipe is worth on networks that nobody chose, drawn by a seed (experiment=zoo), beside
what else one would do to find a step: nothing; a range test; a grid of five; Optuna's TPE with 12
trials over step and initialization; experiment=best over steps, eps and initializations. All choose
by the same validation samples, with seed 1000, and what they chose is trained afresh with seed 0
and tested.

    pip install 'fdi-snn[optuna]'
    python scripts/study/recipe_zoo.py SEED NETWORKS [--starts kaiming ...] [--part 0/2] [WORDS ...]

`--starts`: the initial weights that networks have before, kaiming and pytorch unless given.
`--part` 0/2 and 1/2: every second of them, for two processes. Keeps what each search reached in
results/recipe_zoo/ and all trainings as runs in results/, so that it goes on where it stopped; then
writes recipe_zoo.csv, a row for each search, and prints means and paired differences to TPE with
95 % intervals. Convolutional networks, of which a training takes longest, come last.
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
import torch
from export_reference import write_with_source
from omegaconf import OmegaConf

import fdi
from fdi.analysis.choice import STEP, learning_threshold
from fdi.analysis.recipe import FACTOR, SCAN
from fdi.analysis.statistics import PERCENT, paired
from fdi.cli.compose import composed, fitting
from fdi.cli.run import parse
from fdi.cli.tune import Choice, random_networks
from fdi.track.evidence import origin
from fdi.track.files import parse_json, write_json
from fdi.track.record import TRAINED

ZOO = ("experiment=zoo", "budget=laptop")
FOLDER = Path("results/recipe_zoo")
SEARCH, FINAL = 1000, 0  # seeds
STATES = ("fluct", "fluct_calibrated", "lsuv")  # for TPE, beside the one before
TRIALS, GRID = 12, 5
EXPONENTIAL = ("+scheduler._target_=torch.optim.lr_scheduler.ExponentialLR", "+scheduler.gamma=3")
BELOW = 100.0  # the step with which a range test begins, below the default one


class Network(NamedTuple):
    """A network of the zoo, as words without its initial state."""

    place: int
    kind: str
    words: tuple[str, ...]
    step: float


class Found(NamedTuple):
    """What a search chose, as words, and what it cost with the whole training of that."""

    chosen: tuple[str, ...]
    cost: float
    state: str = ""


def networks(seed: int, number: int, words: list[str]) -> list[Network]:
    config: Any = composed("", [*ZOO, f"zoo.seed={seed}", f"zoo.networks={number}"])
    trainer = [f"trainer.{key}={config.trainer[key]}" for key in ("batch_size", "epochs")]
    zoo: Any = OmegaConf.to_container(config.zoo)
    found = []
    for member in random_networks(zoo, words):
        given = (*fitting("", member.words), *trainer, *words)
        found.append(Network(member.place, member.kind, given, composed("", given).optimizer.lr))
    return sorted(found, key=lambda network: network.kind == "convolutional")


def reached(words: tuple[str, ...], chosen: tuple[str, ...], seed: int, test: bool) -> Any:
    """The result of a run, None where its training diverges; raises fdi.Mistake if it has none."""
    keys = {word.partition("=")[0] for word in chosen}
    kept = [word for word in words if word.partition("=")[0] not in keys]
    table = fdi.sweep(*kept, *chosen, f"trainer.test={str(test).lower()}", seed=[seed])
    row = table.iloc[0]
    if row["state"] in TRAINED:
        return row
    if not str(row["error"]).startswith("Diverged: "):
        raise fdi.Mistake(f"{row['state']}: {row['error']}")
    return None


def tested(words: tuple[str, ...], chosen: tuple[str, ...]) -> float:
    row = reached(words, chosen, FINAL, test=True)
    return 0.0 if row is None else float(row["test_accuracy_last"])


def valid(words: tuple[str, ...], chosen: tuple[str, ...]) -> float:
    row = reached(words, chosen, SEARCH, test=False)
    return 0.0 if row is None else float(row["valid_accuracy_last"])


def step(value: float) -> str:
    return f"{STEP}={value:.2g}"


def recipe(words: tuple[str, ...], network: Network) -> Found:
    """Nothing is changed where nothing is proven; that needs a whole training, too."""
    found = fdi.recipe(*words)
    content = json.loads((found.folder / "recipe.json").read_text()) if found.folder else {}
    if found.state == "unknown":
        raise RuntimeError(found.cause)
    chosen = tuple(content["candidate"].split()) if found.state == "found" else ()
    epochs = max(trial["epochs"] for trial in content["trials"])
    whole = any(f"trainer.epochs={epochs}" == word for word in words)
    own = found.state == "found" or (found.state == "learns" and whole)
    return Found(chosen, content["cost"][0] + (not own), found.state)


@cache
def range_test(words: tuple[str, ...], network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Steps and losses of one training in which the step grows threefold each epoch."""
    begin = network.step / BELOW
    losses = [math.log(10)]
    row = reached(words, (step(begin), *EXPONENTIAL), SEARCH, test=False)
    if row is not None:
        losses = fdi.curves(pd.DataFrame([row]))["train/task"].tolist()
    return begin * 3.0 ** np.arange(len(losses)), np.array(losses)


def steepest(words: tuple[str, ...], network: Network) -> Found:
    """The step at which the loss of a range test falls fastest."""
    steps, losses = range_test(words, network)
    falls = np.diff(np.minimum(losses, math.log(10)), prepend=math.log(10))  # up from chance: none
    return Found((step(steps[int(np.argmin(falls))]),), 2)


def below_the_least(words: tuple[str, ...], network: Network) -> Found:
    """A tenth of the step at which the loss of a range test is least."""
    steps, losses = range_test(words, network)
    return Found((step(steps[int(np.argmin(losses))] / 10),), 2)


def initialization(words: tuple[str, ...]) -> str:
    """The value of the word `init=`."""
    return next(word.partition("=")[2] for word in words if word.startswith("init="))


def grid(words: tuple[str, ...], network: Network) -> Found:
    values = [step(network.step * FACTOR ** (2 * k)) for k in range(-(GRID // 2), GRID // 2 + 1)]
    return Found((max(values, key=lambda value: valid(words, (value,))),), GRID + 1)


def tpe(words: tuple[str, ...], network: Network) -> Found:
    """Over the steps that the recipe scans, and initial states."""
    start = initialization(words)
    span = FACTOR ** ((SCAN - 2) // 2)

    def choose(trial: optuna.Trial) -> tuple[str, ...]:
        value = trial.suggest_float(STEP, network.step / span, network.step * span, log=True)
        return (
            f"{STEP}={value:.3g}",
            f"init={trial.suggest_categorical('init', (start, *STATES))}",
        )

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=network.place)
    )
    study.optimize(lambda trial: valid(words, choose(trial)), n_trials=TRIALS, catch=(fdi.Error,))
    best = study.best_params
    return Found((f"{STEP}={best[STEP]:.3g}", f"init={best['init']}"), TRIALS + 1)


def best(words: tuple[str, ...], network: Network) -> Found:
    """The initialization that reaches most on validation, each at the step and eps of experiment=
    best; the cost counts all that was trained for it.
    """
    start = initialization(words)
    given = [word for word in words if not word.startswith("init=")]
    given += [f"init={','.join(dict.fromkeys((start, *STATES)))}", f"tune.seeds=[{SEARCH}]"]
    choice = Choice(parse(["-m", "experiment=best", *given, f"seed={FINAL}"]))
    choice.decide()
    arm = max(choice.arms, key=lambda arm: arm.score)
    candidate = arm.found.candidate
    assert candidate, arm.found.why
    epochs = sum(epochs for each in choice.arms for _, epochs in each.cells)
    init = f"init={initialization(arm.words)}"
    chosen = (f"{STEP}={candidate.value:g}", *arm.rows[candidate.beside], init)
    return Found(chosen, epochs / arm.plan.epochs + 1)


SEARCHES: dict[str, Callable[[tuple[str, ...], Network], Found]] = {
    "default": lambda words, network: Found((), 1),
    "recipe": recipe,
    "initialized": lambda words, network: Found(("init=fluct",), 1),
    "range test, steepest": steepest,
    "range test, a tenth of the least": below_the_least,
    "grid of five": grid,
    "TPE": tpe,
    "best": best,
}


def searched(network: Network, start: str, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each search reaches; `known`: of some of them."""
    words = (*network.words, f"init={start}")
    there = {row["search"]: row for row in known}
    if "accuracy" not in there.get("default", {"accuracy": 0}):
        return known
    try:
        tested(words, ())
    except fdi.Mistake as error:
        return [{"search": "default", "state": str(error)}]
    for name, search in SEARCHES.items():
        if name not in there:
            found = search(words, network)
            there[name] = {
                "search": name,
                "accuracy": tested(words, found.chosen),
                "cost": found.cost,
                "state": found.state,
                "chosen": " ".join(found.chosen),
            }
    return [there[name] for name in SEARCHES]


def main(seed: int, networks_: int, starts: list[str], part: str, words: list[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mine, parts = map(int, part.split("/"))
    drawn = networks(seed, networks_, words)
    every = [(network, start) for start in starts for network in drawn]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for network, start in every[mine::parts]:
        path = FOLDER / f"{seed}-{start}-{network.place}.json"
        known = parse_json(path) or []
        with (FOLDER / f"log-{mine}").open("a") as log, redirect_stdout(log):
            rows = searched(network, start, known)
        about = {"seed": seed, "start": start, **network._asdict()}
        write_json(path, [about | row for row in rows])
        short = [(row["search"], row.get("accuracy"), row.get("cost")) for row in rows]
        print(start, network.place, network.kind, *short, flush=True)
    kept = [FOLDER / f"{seed}-{start}-{network.place}.json" for network, start in every]
    rows = [row for path in kept for row in parse_json(path) or []]
    table = pd.DataFrame(rows).drop(columns=["step"])
    table["words"] = table["words"].map(" ".join)
    of = origin(torch.device("cpu"), 1)
    made = f"commit {of['commit'][:7]}, torch {of['torch']}, optuna {optuna.__version__}, "
    made += f"{of['processor']}, {date.today()}"
    command = f"python scripts/study/recipe_zoo.py {seed} {networks_} {' '.join(words)}"
    write_with_source(table, Path("recipe_zoo.csv"), f"{command}, {made}")
    report(table)


def report(table: pd.DataFrame) -> None:
    for start, rows in table.groupby("start", sort=False):
        wide = rows.pivot(index="place", columns="search", values="accuracy").dropna(how="any")
        costs = rows.pivot(index="place", columns="search", values="cost").loc[wide.index]
        for name in [search for search in rows["search"].unique() if search in wide]:
            learn = int((wide[name] >= learning_threshold(10)).sum())
            line = f"{start}: {name}: {PERCENT * wide[name].mean():.1f} %, "
            line += f"{learn} of {len(wide)} learn, cost {costs[name].mean():.1f}, "
            line += f"median {costs[name].median():.1f}"
            if name != "TPE" and len(wide) > 1:
                of = paired(PERCENT * wide[name], PERCENT * wide["TPE"])
                line += f", to TPE {of.mean:+.1f} ({of.low:+.1f}..{of.high:+.1f})"
            print(line)


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("seed", type=int)
    parser.add_argument("networks_", metavar="networks", type=int)
    parser.add_argument("--starts", nargs="+", default=["kaiming", "pytorch"])
    parser.add_argument("--part", default="0/1")
    parser.add_argument("words", nargs="*")
    main(**vars(parser.parse_intermixed_args()))
