"""What the rule of `experiment=best` would choose where a whole grid is trained already, and how
much of the best validation accuracy that loses: `python scripts/study/simulate_choice.py RESULTS`.

The grid are runs below RESULTS/runs of one network that differ in their initialization, seed, step
size and the eps of the optimizer alone, each trained to its end with trainer.test=false and no
schedule, so that its first epochs are those of a short training. For eight convolutions:

    for floor in 1e-8+float32 1e-16+float32 1e-24+float32 1e-36+float64 1e-60+float64; do
        fdi-run -m dataset=digits model=conv model.depth=8 model.filters=16 init=kaiming,fluct \
            trainer.epochs=6 homeostasis=none trainer.test=false seed=1000,1001,1002 \
            optimizer.lr=1.7e-4,2.9e-4,5e-4,8.7e-4,1.5e-3,2.7e-3,5e-3,8.7e-3,1.5e-2,2.7e-2,5e-2 \
            optimizer.eps=${floor%+*} optimizer.precision=${floor#*+} hydra/launcher=local
    done
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.choice import STEP, Candidate, Grid, Question, Reached, play
from fdi.analysis.results import Results, own, read_curves
from fdi.study.circumstances import EPS

VALUES = (5e-4, 1.5e-3, 5e-3, 1.5e-2, 5e-2, 1.5e-1)
OUTSIDE = Reached(0.0, math.inf, 10)  # what the grid does not hold


def grid(results: Results, init: str) -> tuple[list[float], dict[Question, Reached]]:
    """The floors, in descending order, and what each candidate reaches after each epoch, as means
    over seeds.
    """
    runs = results.runs[results.runs["init"] == init]
    floors = sorted(runs["optimizer.eps"].unique(), reverse=True)
    probe = results.probe_of(runs)
    probe = probe[probe["rate"].notna()]
    floor = probe[["floor_steady", "floor_noisy"]].max(axis=1)
    margins = (probe["grad_task_max"] / floor).groupby(probe["path"]).min()
    whole = read_curves(runs).merge(runs[["path", STEP, "optimizer.eps", "classes"]], on="path")
    whole["margin"] = whole["path"].map(margins)
    of = whole.groupby([STEP, "optimizer.eps", "epoch"])
    known: dict[Question, Reached] = {}
    for (step, eps, epoch), rows in of:
        means: Any = rows[["valid/accuracy", "train/task", "classes"]].mean()
        place = Candidate(float(step), floors.index(eps)), int(epoch)
        known[place] = Reached(*means, rows["margin"].min())
    return floors, known


def simulate(results: Results) -> pd.DataFrame:
    """A row for each initialization: what is chosen, the best of the grid, what the choice loses in
    points, and what it costs in whole trainings of a candidate.
    """
    epochs = int(results.runs["trainer.epochs"].max())
    short = max(1, epochs // 5)
    rows = []
    for init in results.runs["init"].unique():
        floors, known = grid(results, init)
        plan = Grid(VALUES, len(floors), Candidate(5e-3, floors.index(EPS)), epochs, short, 3, 2)
        decision, asked = play(plan, lambda each, of=known: of.get(each, OUTSIDE))
        whole = {each: reached for (each, at), reached in known.items() if at == epochs}
        best = max(whole, key=lambda each: whole[each].score)
        longest = dict(sorted(asked, key=lambda question: question[1]))
        assert decision.candidate
        rows.append(
            {
                "init": init,
                "state": decision.state,
                "step": decision.candidate.value,
                "eps": floors[decision.candidate.beside],
                "valid": 100 * whole[decision.candidate].accuracy,
                "best step": best.value,
                "best eps": floors[best.beside],
                "best valid": 100 * whole[best].accuracy,
                "loses": 100 * (whole[best].accuracy - whole[decision.candidate].accuracy),
                "whole trainings": sum(longest.values()) / epochs,
                "of": len(whole),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    print(simulate(own(Path(sys.argv[1]))).to_string(index=False, float_format="%.4g"))
