"""Bad input ends in one line and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import REFERENCE, SMALL

from fdi.cli.data import main as fdi_data
from fdi.data.dataset import Dataset, Split
from fdi.data.inputs import Frames
from fdi.figures.picture import draw

TINY = (*SMALL, REFERENCE)
OWN = "def make(input_shape, classes, steps, dt, neuron{}):\n    return None\n"
BIG = "9" * 400


def write_spikes(path: Path, spikes: int = 5, samples: int = 40) -> None:
    with h5py.File(path, "w") as file:
        for name, kind in (("times", "float32"), ("units", "int64")):
            kept = h5py.vlen_dtype(np.dtype(kind))
            data = file.create_dataset(f"spikes/{name}", (samples,), kept)
            for i in range(samples):
                data[i] = np.linspace(0, 0.5, spikes).astype(kind)
        file["labels"] = np.arange(samples) % 2


@pytest.fixture
def spikes(tmp_path: Path) -> Path:
    """A folder with training and test data, and another one beside it."""
    for folder in ("set", "other"):
        (tmp_path / folder).mkdir()
        for name in ("train", "test"):
            write_spikes(tmp_path / folder / f"{name}.h5")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([f"homeostasis.upper.rate={BIG}"], "homeostasis.upper.rate: int too large to convert"),
        ([f"++homeostasis.upper.rate=-{BIG}"], "int too large to convert"),
        (["engine=[1]"], "engine = [1] is not the name of an option; choose one of auto, cpu,"),
        (["model=[dense,conv]"], "model = [dense,conv] is not the name of an option; choose one"),
        (["model=dense,conv"], "model=dense,conv has several values; add -m to run each of them"),
        (["dataset=null"], "dataset = null is not the name of an option; choose one of arrays,"),
        (["name=${seed}"], "name = ${seed} must be {dataset, model, init, experiment}"),
        (["identity=${seed}"], "identity = ${seed} must be {exclude}"),
        (["paths.modules=${seed}"], "paths.modules = ${seed} must be a list"),
        (["identity.exclude=${name}"], "identity.exclude = ${name} must be a list"),
        (["homeostasis.upper=${seed}"], "homeostasis.upper = ${seed} must be {strength, rate}"),
        (["paths.data='\\${seed}'"], "paths.data = ${seed} must not contain ${, which would be"),
        (["hydra.job_logging.root=x"], "hydra.job_logging.root=x is for sweeps; add -m, or leave"),
        (["-m", "seed=0,1", "hydra.job_logging.root=x"], "Unable to configure root logger"),
        (["identity.exclude=[optimizer.lr.x]"], "identity.exclude: optimizer.lr has no keys"),
        (["-sc", "install=bash", "hydra/output=["], "--shell-completion cannot read its words"),
        (["hydra.run.dir=DIR"], "hydra.run.dir = DIR: fdi keeps runs below paths.results; give"),
        (["-m", "hydra.sweep.dir=DIR"], "hydra.sweep.dir = DIR: fdi keeps runs below paths.re"),
        (["-m", "hydra.sweep.subdir=x"], "hydra.sweep.subdir = x: fdi keeps runs below paths.re"),
        (
            ["-m", "init.nu=interval(1,5)"],
            "init.nu=interval(1,5) is for a search, hydra/sweeper=opt",
        ),
        (["lr=0.1"], "lr: no such key; did you mean optimizer.lr?"),
        (["epochs=3"], "epochs: no such key; did you mean trainer.epochs?"),
        (["--dataset", "shd"], "--dataset is not an option; write settings without dashes, as"),
        (["--dataset=shd"], "as in dataset=shd"),
        (["neuron.tau_mem=20"], "neuron.tau_mem = 20 is in seconds, and at most 1; did you mean"),
        (["neuron.tau_mem=2000"], "neuron.tau_mem = 2000 is in seconds, and at most 1\n"),
        (
            ["neuron.tau_mem=20ms"],
            "neuron.tau_mem = '20ms' must be in seconds, without a unit: neu",
        ),
        (["neuron.theta='1.0'"], "neuron.theta = '1.0' must be a number, without quotes: neuron.t"),
        (["init=kaiming", "init.sigma_u=1"], "init.sigma_u: no such key of init=kaiming; choose o"),
        (["init=flucttuation"], "init = flucttuation does not exist; did you mean fluct? choose"),
        (["init=Kaiming"], "init = Kaiming does not exist; did you mean kaiming? choose one of"),
        (["tags=draft"], "tags = draft must be a list, as in tags=[a,b]"),
        (["init.nu=600"], "init.nu = 600 Hz is more than one spike in a step of dataset.dt = 0."),
        (["init.nu={input:600}"], "init.nu.input = 600 Hz is more than one spike in a step of da"),
        (["dataset.samples=100000000000"], "dataset = randman does not fit into memory"),
        (["model.hidden=100000000000"], "the network does not fit into memory"),
    ],
)
def test_a_command_line_is_refused(fdi_run, tmp_path, words, line):
    given = [word.partition("=")[0] for word in words]
    found = fdi_run(*(word for word in TINY if word.partition("=")[0] not in given), *words)
    assert (found.code, found.err.count("\n")) == (2, 1), found.err
    assert line in found.err
    assert not list(tmp_path.iterdir())


def test_rates_above_a_spike_a_step_are_fine_where_spikes_are_counted(fdi_run):
    words = ("dataset.binning=counts", "init.nu=600", "dry_run=true")
    assert fdi_run(*TINY, *words).code == 0


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("{}/other/train.h5", "is no file within set; set dataset.root= to the folder that all"),
        ("../other/train.h5", "is no file within set; set dataset.root= to the folder that all"),
        ("silent.h5", "set: no spikes in its files"),
    ],
)
def test_spikes_are_refused(fdi_run, spikes, tmp_path, file, line):
    if file == "silent.h5":
        for name in ("train", "test"):
            write_spikes(spikes / f"{name}.h5", spikes=0)
        file = "train.h5"
    before = set(tmp_path.rglob("*"))
    words = ("dataset=hdf5", "dataset.root=set", f"dataset.train_file={file.format(tmp_path)}")
    small = [word for word in TINY if not word.startswith("dataset.")]
    found = fdi_run(*small, *words)
    assert (found.code, found.err.count("\n")) == (2, 1), found.err
    assert line in found.err
    assert set(tmp_path.rglob("*")) == before


def test_data_that_cannot_be_read_are_refused(fdi_run, spikes, tmp_path, monkeypatch):
    def closed(*given):
        raise PermissionError(13, "Permission denied", "set")

    monkeypatch.setattr("fdi.data.hdf5.find", closed)
    small = [word for word in TINY if not word.startswith("dataset.")]
    found = fdi_run(*small, "dataset=hdf5", "dataset.root=set")
    assert found.code == 2
    assert found.err.startswith("fdi-run: dataset = hdf5 cannot be read: [Errno 13] Permission")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "key", "line"),
    [
        (", needed", "", "model._target_ = mine.make: missing a required argument: 'needed'; bes"),
        ("", "x: 3\n", "model._target_ = mine.make: got an unexpected keyword argument 'x'; bes"),
    ],
)
def test_code_that_takes_other_arguments_is_refused(
    fdi_run, tmp_path, monkeypatch, arguments, key, line
):
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(f"_target_: mine.make\n{key}")
    (tmp_path / "mine.py").write_text(OWN.format(arguments))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    small = [word for word in TINY if not word.startswith("model.")]
    found = fdi_run("--config-dir", "conf", "model=mine", *small)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert (found.code, found.err.count("\n")) == (2, 1), found.err
    assert line in found.err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("launcher", "extra"), [("ray", "ray"), ("local", "parallel")])
def test_a_launcher_that_is_not_installed_leaves_no_plan(
    fdi_run, tmp_path, monkeypatch, launcher, extra
):
    def missing(*given, **options):
        raise RuntimeError("Unknown plugin class")

    monkeypatch.setattr("hydra.core.plugins.Plugins.instantiate_launcher", missing)
    found = fdi_run("-m", f"hydra/launcher={launcher}", "seed=0,1", *TINY)
    assert found.code == 2
    assert found.err == (
        f"fdi-run: this sweep needs a package that is not installed; pip install "
        f"'fdi-snn[{extra}]'\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_launcher_whose_joblib_is_missing_is_one_line(fdi_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    found = fdi_run("-m", "hydra/launcher=local", "seed=0,1", *TINY)
    assert (found.code, found.err.count("\n")) == (2, 1), found.err
    assert "pip install 'fdi-snn[parallel]'" in found.err
    assert not list(tmp_path.iterdir())


def test_a_launcher_without_a_sweep_is_refused(fdi_run, tmp_path):
    found = fdi_run("hydra/launcher=local", *TINY)
    line = "fdi-run: hydra/launcher=local is for sweeps; add -m, or leave it out\n"
    assert (found.code, found.err) == (2, line)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["poisson", "shape=[100000000000]"], "poisson does not fit into memory"),
        (["poisson", "rate=1e12"], "rate = 1e+12 Hz is more than one spike in a step of dt = 0.0"),
        (["hdf5", "root=set", "channels=100000000000"], "channels = 100,000,000,000; at most 1,0"),
        (["hdf5", "root=/etc", "train_file=passwd", "test_file=passwd"], "passwd: empty, trunca"),
    ],
)
def test_a_data_set_is_refused(tmp_path, monkeypatch, capsys, spikes, words, line):
    monkeypatch.chdir(tmp_path)
    assert fdi_data(["show", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert line in said
    assert not (tmp_path / "results").exists()


def test_a_rough_manifold_and_frames_of_floats_are_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fdi_data(["show", "randman", "alpha=1e-9", "samples=20", "units=3"]) == 0
    frames = np.random.default_rng(0).random((8, 5, 2, 3, 3), dtype=np.float32)
    split = Split(Frames(frames), np.arange(8) % 2)
    draw(Dataset("mine", split, split, split, 2, (2, 3, 3), 5, 1e-3), tmp_path / "mine.png")
    assert (tmp_path / "mine.png").stat().st_size


@pytest.mark.parametrize(
    "how", ["closed", *(pytest.param(how, marks=pytest.mark.slow) for how in ("narrow", "backend"))]
)
def test_commands_start_in_a_poor_environment(tmp_path, how):
    module = "report" if how == "backend" else "run"
    words = [] if how == "backend" else [*TINY, "dry_run=true"]
    given = {"narrow": {"COLUMNS": "0"}, "backend": {"MPLBACKEND": "nonsense"}}.get(how, {})
    code = f"import sys; from fdi.cli.{module} import main; sys.exit(main())"
    close = (lambda: os.close(1)) if how == "closed" else None
    found = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=os.environ | given,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=close,
    )
    assert "Traceback" not in found.stderr
    if how == "backend":
        assert found.stderr.startswith("fdi-report: no runs in results/runs")
    else:
        assert (found.returncode, found.stderr) == (0, "")
