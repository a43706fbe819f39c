"""How much memory the workers of a sweep take on data as large as SHD.

As many cells as workers train one epoch of 8,156 random recordings of 8,000 spikes each, as many as
SHD has for training, beside 2,264 for testing. A process counts what it has alone, and its share of
what it has with others (proportional set size); `one` is the largest resident set of a process, as
`top` shows it, with all that is shared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmark import machine
from benchmark.growth import SPIKES, write_recordings

WORKERS = (1, 2, 4, 8)
TRAIN, TEST = 8156, 2264  # recordings of SHD
PAUSE = 0.1  # s between two looks
MIB = 1024  # KiB


def measure(workers: tuple[int, ...] = WORKERS) -> list[dict]:
    """A row for each number of workers."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recordings(folder / "train.h5", TRAIN, SPIKES)
        write_recordings(folder / "test.h5", TEST, SPIKES)
        for count in [workers[0], *workers]:  # the first reads the files, and compiles
            together, one = _peak(folder, count)
            shared = sum(f.stat().st_size for f in (folder / "cache").rglob("*.npy")) / MIB**2
            row = dict(
                workers=count, peak_mib=together, one_mib=one, table_mib=shared,
                machine=machine.name(),
            )  # fmt: skip
            rows.append(row)
            print(row, flush=True)
    return rows[1:]


def _peak(folder: Path, workers: int) -> tuple[float, float]:
    """Peaks of MiB during a sweep: of all its processes together, and of the largest one."""
    results = tempfile.mkdtemp(dir=folder)
    words = [
        "-m", f"seed=range({workers})", "hydra/launcher=local", f"hydra.launcher.n_jobs={workers}",
        "dataset=hdf5", f"dataset.root={folder}", "dataset.train_file=train.h5",
        "dataset.test_file=test.h5", "dataset.channels=700", "dataset.duration=0.7",
        "dataset.dt=0.002", "trainer.epochs=1", f"paths.results={results}",
    ]  # fmt: skip
    command = "import sys; sys.argv[0] = 'fdi-run'; from fdi.cli.run import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", command, *words], cwd=folder, stdout=subprocess.DEVNULL,
        env=os.environ | {"FDI_CACHE": str(folder / "cache")},
    )  # fmt: skip
    together = one = 0.0
    while process.poll() is None:
        shares, whole = zip(*map(_memory, _family(process.pid)))
        together, one = max(together, sum(shares)), max(one, *whole)
        time.sleep(PAUSE)
    if process.returncode:
        raise SystemExit(f"the sweep of {workers} workers ended with {process.returncode}")
    return together, one


def _family(pid: int) -> list[int]:
    """The process and all that it started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _memory(pid: int) -> tuple[float, float]:
    """(proportional, resident) set size in MiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return sizes["Pss"] / MIB, sizes["Rss"] / MIB
