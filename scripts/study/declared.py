"""Train random networks as fdi/study/longer.yaml or fdi/study/ingredients.yaml says. In an empty
folder

    python CHECKOUT/scripts/study/declared.py longer CHECKOUT/results/reference > commands
    xargs -P 2 -I{} sh -c {} < commands

trains those that are not in the measurements yet, two at once; stop it when you like, and start it
again. Then

    python CHECKOUT/scripts/study/declared.py longer CHECKOUT/results/reference .

adds the trainings that are there to longer.csv in the measurements.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from export_reference import write_with_source

from fdi.analysis.results import Results
from fdi.study import confirmed, ingredients, longer
from fdi.track.record import look

EXPERIMENTS = {longer.NAME: longer, ingredients.NAME: ingredients}
OWN = Path(__file__).parent / "conf"


def main() -> int:
    name, reference, *trained = sys.argv[1:]
    experiment, folder = EXPERIMENTS[name], Path(reference)
    measured = Results(pd.DataFrame(), None, None, folder)
    if not confirmed.is_complete(confirmed.measured_members(measured)):
        print(f"{folder / confirmed.PLACE}: networks are missing; export them first")
        return 1
    if not trained:
        for command in experiment.commands(longer.published(measured), measured.csv(name)):
            print(command.replace("--config-dir OWN", f"--config-dir {OWN}"))
        return 0
    new = experiment.trained(Path(trained[0]))
    origin = look(Path(new["path"].iloc[0])).origin
    made = ", ".join(str(origin.get(key)) for key in ("commit", "torch", "processor"))
    old = measured.csv(name)
    before = [] if old.empty else old["source"].iloc[0].split("; ")
    source = "; ".join(dict.fromkeys([*before, made]))
    rows = pd.concat([old, new]).drop(columns=["source", "path"], errors="ignore")
    rows = rows.drop_duplicates(experiment.KEY, keep="last").sort_values(experiment.KEY)
    write_with_source(rows, folder / f"{name}.csv", source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
