"""Train random networks for longer, as fdi/study/longer.yaml says. In an empty folder

    python CHECKOUT/scripts/study/longer.py CHECKOUT/results/reference | xargs -P 2 -I{} sh -c {}

trains them, two at once; stop it when you like, and start it again. Then

    python CHECKOUT/scripts/study/longer.py CHECKOUT/results/reference .

adds the trainings that are there to longer.csv in the measurements.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from export_reference import write_with_source

from fdi.analysis.results import Results
from fdi.study import confirmed, longer
from fdi.track.record import look


def main() -> int:
    reference, *trained = map(Path, sys.argv[1:])
    measured = Results(pd.DataFrame(), None, None, reference)
    if not confirmed.is_complete(confirmed.measured_members(measured)):
        print(f"{reference / confirmed.PLACE}: networks are missing; export them first")
        return 1
    if not trained:
        print(*longer.commands(longer.published(measured)), sep="\n")
        return 0
    new = longer.trained(*trained)
    origin = look(Path(new["path"].iloc[0])).origin
    made = ", ".join(str(origin.get(key)) for key in ("commit", "torch", "processor"))
    old = measured.csv(longer.NAME)
    source = made if old.empty else f"{old['source'].iloc[0]}; {made}"
    rows = pd.concat([old, new]).drop(columns=["source", "path"], errors="ignore")
    rows = rows.drop_duplicates(longer.KEY, keep="last").sort_values(longer.KEY)
    write_with_source(rows, reference / f"{longer.NAME}.csv", source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
