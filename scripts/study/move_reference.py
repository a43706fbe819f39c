"""Write results/reference/runs.csv as runs of 0.3 are, once: what older versions left unsaid is said
(keys that came later, numerics, data, code) and each run has the sweeps that it belongs to.

Needs the history of this repository, and fdi at b0b1505 on PYTHONPATH for what a missing key meant.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

from fdi.analysis.results import as_now, numbers

SPLIT = re.compile(r"^(seed|threads|hydra/launcher|paths\.\w+|init)=")  # words of one sweep by hand


def numerics(commit: str) -> str:
    """NUMERICS of fdi at a commit; 1 before it was counted."""
    show = ["git", "show", f"{commit.partition(chr(43))[0]}:fdi/config/identity.py"]
    text = subprocess.run(show, capture_output=True, text=True).stdout
    found = re.search(r"^NUMERICS = (\d+)", text, re.MULTILINE)
    return found[1] if found else "1"


def main(folder: Path) -> None:
    file = folder / "runs.csv"
    raw = pd.read_csv(file, dtype=str, keep_default_na=False)
    typed = numbers(pd.read_csv(file, low_memory=False, dtype={"id": str}))
    today = as_now(typed)
    for name in today:
        changed = ~((today[name] == typed[name]) | (today[name].isna() & typed[name].isna()))
        if changed.any():
            values = today.loc[changed, name].map(lambda v: "" if pd.isna(v) else str(v))
            raw.loc[changed, name] = values
            print(f"{name}: {changed.sum()} values, {sorted(set(values))[:4]}")
    origin = pd.read_csv(folder / "provenance.csv", dtype=str).set_index("provenance")
    by_commit = {commit: numerics(commit) for commit in origin["commit"].unique()}
    print(f"commits: {len(by_commit)}, not in the history: {[c for c in by_commit if not there(c)]}")
    commits = raw["provenance"].map(origin["commit"])
    raw["numerics"] = raw["numerics"].str.replace(".0", "").where(raw["numerics"] != "", commits.map(by_commit))
    targets = [name for name in raw if name.endswith("._target_")]
    own = raw[targets].apply(lambda c: (c != "") & ~c.str.match(r"(fdi|torch)\.")).any(axis=1)
    assert not own.any()
    raw["code"] = "none"
    raw["data"] = data(raw)
    raw["sweeps"] = raw["provenance"].map(origin["command"].map(sweep))
    raw.to_csv(file, index=False, lineterminator="\n")
    print(raw["numerics"].value_counts().to_dict(), raw["data"].value_counts().to_dict())
    print(raw["sweeps"].value_counts().to_dict())


def there(commit: str) -> bool:
    return subprocess.run(["git", "cat-file", "-e", commit], capture_output=True).returncode == 0


def data(raw: pd.DataFrame) -> pd.Series:
    """generated where fdi generates them; else the hash of the files, known or, where rows of equal
    seed and keys have equal checksums, told by these.
    """
    found = raw["data"].copy()
    generated = raw["dataset._target_"].isin(["fdi.data.randman.randman", "fdi.data.images.digits"])
    found[generated] = "generated"
    for name, rows in raw[found == ""].groupby("dataset"):
        same = raw[raw["dataset"] == name]
        keys = [c for c in same if c.startswith("dataset.") and same[c].nunique() > 1] + ["seed"]
        checks = same.groupby(keys)["data_checksum"].nunique()
        known = [value for value in same["data"].unique() if value]
        text = "\n".join(sorted(set(same["data_checksum"])))
        label = known[0] if known else hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        print(f"{name}: {len(rows)} rows without, {len(keys)} keys, checksums per key {checks.max()}, {label}")
        if checks.max() == 1:
            found[rows.index] = label
    return found


def sweep(command: str) -> str:
    """The experiment of a command, or a name of the sweep by hand that it is part of."""
    if found := re.search(r"experiment=(\w+)", command):
        return found[1]
    words = [word for word in command.split()[1:] if word != "-m" and not SPLIT.match(word.strip("'"))]
    return f"sweep-{hashlib.sha256(' '.join(sorted(words)).encode()).hexdigest()[:8]}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
