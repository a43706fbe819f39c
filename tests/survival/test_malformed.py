"""Malformed command lines, configurations and files, drawn from a seed: each is refused in one
line, with a non-zero exit code, and nothing is written.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import h5py
import numpy as np
import pytest

COUNT = 300
KEYS = (
    *("seed", "threads", "probe", "device", "engine", "model", "init", "neuron", "optimizer"),
    *("trainer.epochs", "trainer.batch_size", "trainer.readout", "model.hidden", "model.depth"),
    *("init.sigma_u", "init.alpha", "optimizer.lr", "dataset", "dataset.samples", "dataset.dt"),
    *("dataset.steps", "dataset.valid", "dataset.classes", "readout_init", "homeostasis.joint"),
    *("homeostasis.prime_epochs", "paths.results", "name.dataset"),
)
WORDS = ("nan", "inf", "-inf", "abc", "''", "null", "???", "[1,a]", "{a:1}", "-1", "1e999", "${x}")
GROUPS = ("model", "init", "neuron", "optimizer", "dataset")
CONFIGS = (
    "a: [",
    "a:\n\tb: 1\n",
    "a: 1\na: 2\n",
    "_target_: null\n",
    "_target_: os.system\ncommand: touch owned\n",
    "_target_: nowhere.at.all\n",
    "a: !!python/object/apply:os.system [touch owned]\n",
    "a: &a [*a]\n",
    "defaults:\n- mine\n",
    "- 1\n- 2\n",
    "just words\n",
    "\0",
    "[" * 5000,
)
LINES = ("-m seed=", "-m seed=range(0)", "=", "a", "seed", "+", "~seed", "seed=1,2", "-x", "@a=b")
SHORT = ("trainer.epochs=1", "model.hidden=4", "dataset.samples=20", "threads=1")


def command_line(rng: random.Random, home: Path) -> list[str]:
    if rng.random() < 0.25:
        return rng.choice(LINES).split()
    key = rng.choice(KEYS)
    if rng.random() < 0.3:
        return [f"{key}{rng.choice('xyz_.')}=1"]
    value = rng.choice([word for word in WORDS if not _fine(key, word)])
    return [f"{key}={value}"]


def _fine(key: str, word: str) -> bool:
    """Whether the word is a value that the key may have."""
    return (
        (key in ("threads", "model.depth") and word == "null")
        or (key == "name.dataset" and word in ("nan", "inf", "-inf", "abc", "null", "-1", "1e999"))
        or (key == "paths.results" and word not in ("???", "${x}", "{a:1}", "[1,a]", "null", "''"))
    )


def configuration(rng: random.Random, home: Path) -> list[str]:
    group = rng.choice(GROUPS)
    (home / "mine" / group).mkdir(parents=True)
    (home / "mine" / group / "mine.yaml").write_text(rng.choice(CONFIGS))
    return ["--config-dir", "mine", f"{group}=mine"]


def spikes(rng: random.Random, home: Path) -> list[str]:
    """Files in the layout of SHD with one thing wrong."""
    (home / "set").mkdir()
    for name in ("train", "test"):
        _write_spikes(home / "set" / f"{name}.h5", rng)
    path = home / "set" / rng.choice(["train.h5", "test.h5"])
    kind = rng.choice(["cut", "empty", "noise", "labels", "missing", "shape", "times", "text"])
    if kind == "cut":
        content = path.read_bytes()
        path.write_bytes(content[: rng.randrange(8, len(content) // 2)])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "noise":
        path.write_bytes(rng.randbytes(4096))
    else:
        with h5py.File(path, "a") as file:
            _spoil(file, kind, rng)
    return ["dataset=hdf5", "dataset.root=set"]


def _write_spikes(path: Path, rng: random.Random) -> None:
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (40,), h5py.vlen_dtype(np.dtype("float32")))
        units = file.create_dataset("spikes/units", (40,), h5py.vlen_dtype(np.dtype("int64")))
        for i in range(40):
            times[i] = np.sort([rng.uniform(0, 0.6) for _ in range(20)]).astype(np.float32)
            units[i] = np.array([rng.randrange(20) for _ in range(20)])
        file["labels"] = np.arange(40) % 2


def _spoil(file: h5py.File, kind: str, rng: random.Random) -> None:
    if kind == "missing":
        del file[rng.choice(["labels", "spikes/times", "spikes/units", "spikes"])]
    elif kind == "labels":
        del file["labels"]
        file["labels"] = rng.choice([np.full(40, -1), np.full(40, 10**9), np.zeros(39, int)])
    elif kind == "shape":
        del file["spikes/units"]
        file["spikes/units"] = np.zeros((40, 3, 2))
    elif kind == "times":
        file["spikes/times"][3] = np.array(
            rng.choice([[np.nan], [-1.0], [np.inf], [1e18]]), np.float32
        )
    else:
        del file["labels"]
        file["labels"] = np.array([b"zero"] * 40)


@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=[] if seed < 4 else pytest.mark.slow) for seed in range(COUNT)],
)
def test_is_refused_in_one_line(zygote, seed):
    rng = random.Random(seed)
    home = zygote.home()
    make = (command_line, command_line, configuration, spikes)[seed % 4]
    words = make(rng, home)
    before = {path: path.is_file() and path.read_bytes() for path in home.rglob("*")}
    given = {word.partition("=")[0] for word in words} | (
        {"dataset.samples"} if make is spikes else set()
    )
    end = zygote.run(home, *words, *(word for word in SHORT if word.partition("=")[0] not in given))
    told = json.dumps([words, end.err])
    assert end.code not in (0, 70), told
    assert len(end.err.splitlines()) == 1, told
    assert "Traceback" not in end.err + end.out, told
    after = {path: path.is_file() and path.read_bytes() for path in home.rglob("*")}
    assert after == before, f"{told} {after.keys() - before.keys()}"
