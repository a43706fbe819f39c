"""`fdi-run` as its users meet it: a command, what it prints, its exit code, and what it leaves
behind.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from fdi.cli.run import main
from fdi.track.files import write_json, write_status
from fdi.track.lock import lock

SMALL = (
    "dataset.samples=20",
    "model.hidden=8",
    "trainer.epochs=2",
    "trainer.batch_size=50",
    "threads=1",
)
REFERENCE = "engine=reference"  # compiles nothing


class Command:
    """Calls `fdi-run` in this process; `run` stands in for fdi.run.run if given."""

    def __init__(self, monkeypatch, capsys):
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, run=None) -> SimpleNamespace:
        if run is not None:
            self.monkeypatch.setitem(sys.modules, "fdi.run", SimpleNamespace(run=run))
        self.monkeypatch.setattr(sys, "argv", ["fdi-run", *arguments])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return SimpleNamespace(code=code, **self.capsys.readouterr()._asdict())


@pytest.fixture
def fdi_run(monkeypatch, capsys, tmp_path) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(monkeypatch, capsys)


def done(config, directory: Path, *_) -> dict:
    """A run that takes no time: its accuracy is its seed in per cent."""
    result = {
        "test_accuracy_last": config.seed / 100,
        "test_accuracy_best": 0.5,
        "rates": {"h1": 10.0 + config.seed},
        "seconds": 12.3,
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "result.json", result)
    write_status(directory, "done")
    return result


def process(*arguments: str, **options) -> subprocess.Popen:
    # a job in the background ignores it
    code = "from signal import *; signal(SIGINT, default_int_handler)\n"
    code += "from fdi.cli.run import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def wait_for_epoch(folder: Path, epoch: int, child: subprocess.Popen) -> None:
    while child.poll() is None:
        if any(len(file.read_text().splitlines()) > epoch for file in folder.rglob("metrics.csv")):
            return
        time.sleep(0.02)
    raise AssertionError(child.communicate()[1])


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of each file and folder."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *sorted(folder.rglob("*")))
    }


def write_spikes(folder: Path, seed: int) -> None:
    """Files of two classes in the layout of SHD."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for name in ("train", "test"):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            float_array = h5py.vlen_dtype(np.dtype("float32"))
            units = h5py.vlen_dtype(np.dtype("int64"))
            times = file.create_dataset("spikes/times", (40,), float_array)
            places = file.create_dataset("spikes/units", (40,), units)
            for i in range(40):
                times[i] = np.sort(rng.uniform(0, 0.6, 30)).astype(np.float32)
                places[i] = rng.integers(0, 20, 30)
            file["labels"] = np.arange(40) % 2


def test_help_is_fast_and_names_the_groups(tmp_path):
    seconds = []
    for _ in range(3):
        before = os.times()
        output = process("--help", cwd=tmp_path).communicate()[0]
        used = os.times()
        seconds.append(used.children_user - before.children_user)
    assert min(seconds) < 1
    assert all(
        word in output
        for word in (
            "fdi-run -m init=kaiming,fluct",
            "randman",
            "fluct_calibrated",
            "quickstart",
            "--config-dir",
        )
    )
    assert output.isascii()


def test_version_and_configuration_and_completion(fdi_run):
    assert fdi_run("--version").out.startswith("fdi ")
    shown = fdi_run("--cfg", "job", "seed=4", "--resolve")
    assert shown.code == 0
    config = OmegaConf.create(shown.out)
    assert config.seed == 4
    assert config.name == {
        "dataset": "randman",
        "model": "dense",
        "init": "fluct",
        "experiment": None,
    }
    assert "complete" in fdi_run("--shell-completion", "install=bash").out
    assert not os.listdir()


def test_dry_run_lists_cells_without_torch_and_makes_nothing(tmp_path):
    code = (
        "import sys\nfrom fdi.cli.run import main\ntry:\n    main()\nfinally:\n    assert "
        "'torch' not in sys.modules"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "-m",
        "init=kaiming,fluct",
        "seed=range(2)",
        "dry_run=true",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    lines = found.stdout.splitlines()
    assert lines[-1] == "4 cells: 4 missing"
    assert [line.split()[0] for line in lines[:-1]] == ["missing"] * 4
    assert lines[0].split()[1].startswith("results/runs/randman/dense/kaiming/seed=0-")
    assert not list(tmp_path.iterdir())


def test_one_run_records_and_is_not_repeated(fdi_run, tmp_path):
    first = fdi_run(*SMALL)
    assert first.code == 0, first.err
    (directory,) = tmp_path.glob("results/runs/randman/dense/fluct/seed=0-*")
    assert first.out.splitlines()[-1] == str(directory.relative_to(tmp_path))
    assert os.listdir() == ["results"]
    assert json.loads((directory / "status.json").read_text())["state"] == "done"
    config = OmegaConf.load(directory / ".hydra" / "config.yaml")
    assert config.name.init == "fluct"
    assert config.engine.name == "cpu"
    result = (directory / "result.json").stat().st_mtime_ns
    second = fdi_run(*SMALL)
    assert second.code == 0
    assert "done before" in second.out
    assert (directory / "result.json").stat().st_mtime_ns == result
    assert (
        fdi_run(*SMALL, "dry_run=true").out
        == f"done         {directory.relative_to(tmp_path)}\n1 cell: 1 done\n"
    )


def test_probe_only_measures_and_stops(fdi_run, tmp_path):
    found = fdi_run(*SMALL, REFERENCE, "probe=only")
    assert found.code == 0, found.err
    (file,) = tmp_path.rglob("init.json")
    assert not list(tmp_path.rglob("metrics.csv"))
    measured = file.stat().st_mtime_ns
    again = fdi_run("-m", *SMALL, REFERENCE, "probe=only")
    assert again.code == 0
    assert again.out.splitlines() == ["1 of 1 done before", "1 cell: 1 probed"]
    assert file.stat().st_mtime_ns == measured


def test_a_sweep_ends_in_a_table(fdi_run):
    found = fdi_run("-m", "seed=1,3", "model.depth=1,2", run=done)
    assert found.code == 0
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    for depth in "12":
        assert f"randman dense fluct {depth} 2 2.0 +- 1.4 50.0 +- 0.0 h1 12.0" in lines
    assert found.out.splitlines()[-1] == "4 cells: 4 done"


def test_a_sweep_says_a_line_a_cell(fdi_run):
    found = fdi_run("-m", "init=kaiming,fluct", "seed=3,4", run=done)
    lines = [line for line in found.out.splitlines() if line.startswith("cell ")]
    assert [line.partition("/")[0] for line in lines] == [f"cell {i}" for i in range(1, 5)]
    assert re.fullmatch(r"cell 1/4  kaiming seed=3  3\.0 % 12 s, [\d.]+ s left", lines[0])
    assert lines[-1] == "cell 4/4  fluct seed=4  4.0 % 12 s"


def test_a_cell_is_composed_once(fdi_run, monkeypatch):
    """The files of the configuration are read once for all cells with the same options, in the
    check and in the launch.
    """
    read = []
    original = ConfigLoaderImpl.load_configuration

    def load(self, *arguments, **options):
        read.append(options.get("overrides") or arguments[1])
        return original(self, *arguments, **options)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", load)
    found = fdi_run("-m", "init=kaiming,fluct", "seed=range(20)", "model.depth=1,2", run=done)
    assert found.out.splitlines()[-1] == "80 cells: 80 done"
    assert len(read) < 10


def test_a_dry_run_says_what_the_directory_does_not(fdi_run):
    lines = fdi_run("-m", "seed=0,1", "model.depth=1,2", "dry_run=true").out.splitlines()
    assert [line.split()[2] for line in lines[:-1]] == ["model.depth=1", "model.depth=2"] * 2


def test_a_dry_run_says_what_the_rest_will_cost(fdi_run):
    """By the seconds of an epoch, on each of its threads, of a run of the same kind."""

    def run(config, directory, *_):
        done(config, directory)
        rows = "epoch,seconds,seconds_valid\n1,9000,0\n2,3000,600\n"  # the first one compiled
        (directory / "metrics.csv").write_text(rows)
        write_json(directory / "record.json", {"threads": 2})
        (directory / ".hydra").mkdir()
        OmegaConf.save(config, directory / ".hydra" / "config.yaml")

    kind = ("-m", "trainer.epochs=2", "dry_run=true")
    fdi_run("-m", "trainer.epochs=2", "seed=0", run=run)
    more = fdi_run(*kind, "seed=range(4)").out.splitlines()
    assert more[-1] == "3 cells, about 12 core-hours here"
    measured = fdi_run(*kind, "seed=range(4)", "probe=only").out.splitlines()
    assert measured[-1] == "3 cells, about 6 core-hours here"
    primed = fdi_run(*kind, "seed=1", "homeostasis=prime", "homeostasis.prime_epochs=3")
    assert primed.out.splitlines()[-1] == "1 cells, about 10 core-hours here"
    other = fdi_run(*kind, "seed=0", "model.hidden=128,64").out.splitlines()
    assert other[-1] == "2 cells: 1 done, 1 missing"
    both = fdi_run(*kind, "seed=1", "model.hidden=128,64").out.splitlines()
    assert (
        both[-1]
        == "1 of 2 cells, about 4 core-hours here; the others are of a kind not measured yet"
    )


def test_the_settings_of_a_launcher_can_be_seen(fdi_run):
    shown = fdi_run(
        "-m", "hydra/launcher=local", "init=kaiming,fluct", "--cfg", "hydra", "-p", "hydra.launcher"
    )
    assert shown.code == 0, shown.err
    assert OmegaConf.create(shown.out).n_jobs == -1


def test_a_swept_key_counts_for_the_cells_that_have_it(fdi_run):
    sweep = (
        "-m",
        "seed=0,1",
        "init=kaiming,fluct,fluct_mu",
        "init.sigma_u=0.5,1",
        "init.xi=1,2,3",
        "dry_run=true",
    )
    assert fdi_run(*sweep).out.splitlines()[-1] == "12 cells: 12 missing"
    typo = fdi_run("-m", "init=kaiming,fluct", "init.sgima_u=0.5,1")
    assert typo.code == 2
    assert (
        typo.err
        == "fdi-run: init.sgima_u: no such key; did you mean sigma_u? choose one of alpha, nu, "
        "sigma_u\n"
    )


def test_overrides_may_stand_on_both_sides_of_a_flag(fdi_run):
    assert "2 cells: 2 done" in fdi_run("model=dense", "-m", "seed=1,2", run=done).out


def test_the_command_line_wins_over_the_sweep_of_an_experiment(fdi_run):
    lines = fdi_run("-m", "experiment=quickstart", "init=pytorch", "dry_run=true").out.splitlines()
    assert [line.split("/")[4] for line in lines[:-1]] == ["pytorch"]


def test_a_failure_stops_no_other_cell_and_is_told(fdi_run):
    def run(config, directory, *_):
        if config.seed == 1:
            write_status(
                directory, "failed", error="RuntimeError: the loss is nan in epoch 1, batch 1"
            )
            (directory / "run.log").write_text("Traceback")
            raise RuntimeError("the loss is nan in epoch 1, batch 1")
        return done(config, directory)

    found = fdi_run("-m", "seed=0,1,2", run=run)
    assert found.code == 1
    assert found.err.startswith(
        "fdi-run: RuntimeError: the loss is nan in epoch 1, batch 1 (traceback in results/runs/"
    )
    assert len(found.err.splitlines()) == 1
    *_, failure, count = found.out.splitlines()
    assert failure.startswith("failed  results/runs/randman/dense/fluct/seed=1-")
    assert failure.endswith("RuntimeError: the loss is nan in epoch 1, batch 1")
    assert count == "3 cells: 2 done, 1 failed"
    again = fdi_run("-m", "seed=0,1,2", run=done)
    assert again.out.startswith("2 of 3 done before\n")
    assert again.code == 0


def test_a_cell_that_another_process_runs_is_left_to_it(fdi_run):
    directory = Path(fdi_run("-m", "seed=0,1", "dry_run=true").out.split()[1])
    with lock(directory):
        write_status(directory, "running")
        found = fdi_run(
            "-m",
            "seed=0,1",
            run=lambda config, cell, *_: None if cell == directory else done(config, cell),
        )
    assert found.code == 1
    assert found.out.splitlines()[-3:] == [
        f"running elsewhere  {directory}",
        "2 cells: 1 done, 1 running elsewhere",
        "when the other process has ended, the same command does what is left",
    ]


def test_what_is_left_starts_again_when_a_launcher_loses_a_worker(fdi_run, monkeypatch):
    """As long as that brings some cell further, and once more."""
    launches = []

    def launch(arguments, cells, task):
        launches.append([cell.config.seed for cell in cells])
        if len(launches) < 3:
            done(cells[0].config, cells[0].directory)
        raise RuntimeError("a worker was killed. It was worker 7.")

    monkeypatch.setattr("fdi.cli.launch.launch", launch)
    found = fdi_run("-m", "seed=range(4)")
    assert launches == [[0, 1, 2, 3], [1, 2, 3], [2, 3], [2, 3]]
    assert found.code == 1
    assert found.err.splitlines() == ["fdi-run: RuntimeError: a worker was killed"] * 4
    assert found.out.splitlines()[-1] == "4 cells: 2 done, 2 missing"


def test_a_failed_cell_leaves_no_memory_behind(fdi_run):
    class Big:
        pass

    kept = []

    def run(config, directory, *_):
        big = Big()
        kept.append(weakref.ref(big))
        raise RuntimeError(f"seed {config.seed}")

    assert fdi_run("-m", "seed=0,1", run=run).code == 1
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_a_sweep_leaves_its_plan_for_fdi_status(fdi_run):
    fdi_run("-m", "experiment=quickstart", "seed=0,1", run=done)
    (plan,) = Path("results/sweeps").glob("quickstart-*.json")
    content = json.loads(plan.read_text())
    assert content["command"] == "fdi-run -m experiment=quickstart seed=0,1"
    assert all(
        (Path("results") / directory / "result.json").exists() for directory in content["cells"]
    )
    assert sorted(content["cells"].values())[0] == ["init=fluct", "experiment=quickstart", "seed=0"]


def test_what_a_user_can_mend_is_one_line(fdi_run):
    found = fdi_run(
        "dataset.samples=20", REFERENCE, "model=conv", "model.kernel=50", "model.padding=0"
    )
    assert found.code == 2
    assert len(found.err.splitlines()) == 1
    assert "leaves no neuron" in found.err
    assert not os.listdir()
    assert fdi_run("model.depth=abc").code == 2


def test_a_refused_cell_of_a_sweep_leaves_nothing(fdi_run):
    sweep = ("-m", *SMALL, REFERENCE, "model=dale", "model.excitatory=8", "init=kaiming,fluct")
    found = fdi_run(*(word for word in sweep if word != "model.hidden=8"))
    assert found.code == 1
    *_, refused, counts = found.out.splitlines()
    assert refused.startswith("failed  kaiming seed=0  ValueError: init=kaiming")
    assert counts == "2 cells: 1 done, 1 failed"
    assert [path.name for path in Path("results/runs/randman/dale").iterdir()] == ["fluct"]


def test_what_fails_after_an_epoch_stays(fdi_run):
    def run(config, directory, *_):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "metrics.csv").write_text("epoch\n1\n")
        write_status(directory, "failed", error="ValueError: no", refused=True)
        raise ValueError("no")

    assert fdi_run("seed=0", run=run).code == 2
    assert fdi_run("-m", "seed=1,2", run=run).code == 1
    assert len(list(Path("results/runs/randman/dense/fluct").iterdir())) == 3


def test_control_c_ends_a_sweep_with_what_is_done(fdi_run):
    def run(config, directory, *_):
        if config.seed == 1:
            write_status(directory, "interrupted")
            raise KeyboardInterrupt
        return done(config, directory)

    found = fdi_run("-m", "seed=0,1,2", run=run)
    assert found.code == 130
    assert found.err == "fdi-run: interrupted; the same command goes on where it stopped\n"
    assert found.out.splitlines()[-1] == "3 cells: 1 done, 1 interrupted, 1 missing"


def test_options_of_ones_own(fdi_run, tmp_path, monkeypatch):
    (tmp_path / "mine" / "init").mkdir(parents=True)
    (tmp_path / "mine" / "init" / "half.yaml").write_text("_target_: half.make\nshare: 0.5\n")
    (tmp_path / "half.py").write_text(
        "from fdi.init.baselines import Kaiming\ndef make(share):\n    return Kaiming(gain=share)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = fdi_run("--config-dir", "mine", "init=half", *SMALL, REFERENCE)
    assert found.code == 0, found.err
    assert list(tmp_path.glob("results/runs/randman/dense/half/seed=0-*/result.json"))
    assert "half" in fdi_run("--help", "--config-dir", "mine").out


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_help_fits_the_terminal(fdi_run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = fdi_run("--help").out.splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.startswith("  fdi-run -m init=kaiming,fluct 'seed=range(5)'") for line in lines)
    assert "spytorch, xavier" in " ".join(line.strip() for line in lines)


def test_changed_code_of_ones_own_is_told(fdi_run, tmp_path, monkeypatch):
    (tmp_path / "mine" / "init").mkdir(parents=True)
    (tmp_path / "mine" / "init" / "third.yaml").write_text("_target_: third.Third\n")
    text = "from fdi.init.baselines import Kaiming\nfrom gains import GAIN\n"
    text += "def Third():\n    return Kaiming(gain=GAIN)\n"
    (tmp_path / "third.py").write_text(text)
    (tmp_path / "gains.py").write_text("GAIN = 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    command = ("--config-dir", "mine", "init=third", *SMALL, REFERENCE)
    assert fdi_run(*command).code == 0
    (result,) = tmp_path.glob("results/runs/*/*/third/*/result.json")
    (tmp_path / "gains.py").write_text("# one\nGAIN = 1.0\n")
    assert fdi_run(*command).code == 0, "a comment computes nothing"
    (tmp_path / "gains.py").write_text("GAIN = 2.0\n")
    for sweep in ((), ("-m",)):
        found = fdi_run(*command, *sweep)
        assert found.code == 2
        assert found.err.count("\n") == 1
        assert "other code: third.Third or a module that it imports has changed; give" in found.err
    result.unlink()
    assert "other code: third.Third" in fdi_run(*command).err, "nor does it go on"
    assert fdi_run(*command, "name.init=third-2").code == 0


def rows(folder: Path) -> list[list[str]]:
    """metrics.csv without the columns that hold seconds."""
    (file,) = folder.rglob("metrics.csv")
    header, *body = [line.split(",") for line in file.read_text().splitlines()]
    kept = [i for i, name in enumerate(header) if not name.startswith("seconds")]
    return [[line[i] for i in kept] for line in (header, *body)]


@pytest.mark.parametrize(
    ("stop", "code", "engine"), [(signal.SIGKILL, -9, "cpu"), (signal.SIGINT, 130, "reference")]
)
def test_stopped_and_started_again_gives_the_same_numbers(tmp_path, fdi_run, stop, code, engine):
    command = (*SMALL, f"engine={engine}", "trainer.epochs=60")
    child = process(*command, "paths.results=stopped", cwd=tmp_path)
    wait_for_epoch(tmp_path / "stopped", 3, child)
    child.send_signal(stop)
    child.communicate()
    assert child.returncode == code
    assert fdi_run(*command, "paths.results=stopped", "dry_run=true").out.startswith(
        "interrupted  "
    )
    resumed = fdi_run(*command, "paths.results=stopped")
    assert "resumed after epoch" in resumed.out
    assert fdi_run(*command, "paths.results=whole").code == 0
    assert len(rows(tmp_path / "whole")) == 61
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")
    results = [
        json.loads(next((tmp_path / name).rglob("result.json")).read_text())
        for name in ("stopped", "whole")
    ]
    assert results[0].pop("seconds") > 0
    assert results[1].pop("seconds") > 0
    assert results[0] == results[1]


def test_early_stopping_is_told_and_needs_a_validation_split(fdi_run, tmp_path):
    small = (*SMALL, REFERENCE, "trainer.epochs=50", "trainer.patience=1", "probe=none")
    found = fdi_run(*small, "optimizer.lr=1e-9")  # no epoch is better than the first
    assert found.code == 0
    assert "stopped after epoch 2 of 50: none better on validation than epoch 1" in found.out
    (result,) = (json.loads(file.read_text()) for file in tmp_path.rglob("result.json"))
    assert (result["epochs"], result["best_epoch"]) == (2, 1)
    (status,) = tmp_path.rglob("status.json")
    assert json.loads(status.read_text())["state"] == "done"
    refused = fdi_run(*small, "dataset.valid=0", "paths.results=other")
    assert refused.code == 2
    assert "trainer.patience = 1 waits for a better validation accuracy" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "other").exists()


def test_a_done_run_is_touched_by_nothing_and_refuses_other_data(fdi_run, tmp_path, monkeypatch):
    write_spikes(tmp_path / "a" / "set", 1)
    write_spikes(tmp_path / "b" / "set", 2)
    command = ("dataset=hdf5", "model.hidden=4", "trainer.epochs=1", "threads=1", REFERENCE)
    first = fdi_run(*command, "dataset.root=a/set")
    assert first.code == 0, first.err
    (directory,) = tmp_path.glob("results/runs/hdf5/dense/fluct/seed=0-*")
    before = everything(tmp_path / "results")

    for form in ((), ("-m",)):
        other = fdi_run(*form, *command, "dataset.root=b/set")
        assert other.code == 2
        (line,) = other.err.splitlines()
        known = json.loads((directory / "record.json").read_text())["data_checksum"]
        assert f"checksum {known}, and those in b/set have " in line
        assert "name.dataset=" in line
    shutil.copytree("a", "c")  # the same data, elsewhere
    for root in ("a/set", "c/set", "gone"):
        again = fdi_run(*command, f"dataset.root={root}", "name.dataset=hdf5", "dataset.name=set")
        assert (again.code, again.err) == (0, "")
        assert "done before" in again.out
    assert everything(tmp_path / "results") == before

    (directory / "result.json").write_text("")
    other = fdi_run(*command, "dataset.root=b/set")
    assert other.code == 2
    assert f"checksum {known}, and those in b/set" in other.err
    mended = fdi_run(*command, "dataset.root=a/set")
    assert (mended.code, mended.err) == (0, "")
    assert "resumed after epoch 1" in mended.out
    result = json.loads((directory / "result.json").read_text())
    assert result == json.loads(before[str(directory / "result.json")][1])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 1000])
def test_a_damaged_checkpoint_is_named_and_kept(fdi_run, tmp_path, content):
    command = (*SMALL, REFERENCE)
    assert fdi_run(*command).code == 0
    (directory,) = tmp_path.glob("results/runs/randman/dense/fluct/seed=0-*")
    (directory / "result.json").unlink()
    (directory / "checkpoint/last.pt").write_bytes(content)
    found = fdi_run(*command)
    assert found.code == 2
    (line,) = found.err.splitlines()
    assert "checkpoint/last.pt is damaged" in line
    assert "delete it" in line
    assert (directory / "checkpoint/last.pt").read_bytes() == content


def test_a_full_disk_is_told_and_in_the_log(fdi_run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fdi.train.checkpoint.save", full)
    found = fdi_run(*SMALL, REFERENCE)
    assert found.code == 1
    (line,) = found.err.splitlines()
    assert "No space left on device" in line
    (directory,) = tmp_path.glob("results/runs/randman/dense/fluct/seed=0-*")
    assert json.loads((directory / "status.json").read_text())["state"] == "failed"
    assert "Traceback" in (directory / "run.log").read_text()
    assert not (directory / ".reserve").exists()


def test_a_run_whose_folder_moves_away_stops_and_is_never_done(tmp_path, fdi_run):
    command = (*SMALL, REFERENCE, "trainer.epochs=100000")
    child = process(*command, cwd=tmp_path)
    wait_for_epoch(tmp_path, 3, child)
    (tmp_path / "results").rename(tmp_path / "moved")
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "metrics.csv was moved, deleted or changed" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "results").exists()
    assert fdi_run(*command, "paths.results=moved", "dry_run=true").out.startswith("interrupted")


def test_an_early_control_c_is_one_line(fdi_run, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fdi.cli.cells.compose_cells", press)
    found = fdi_run(*SMALL)
    assert found.code == 130
    assert found.err == "fdi-run: interrupted; the same command goes on where it stopped\n"


def test_two_processes_do_not_run_one_cell(tmp_path, fdi_run):
    command = (*SMALL, REFERENCE, "trainer.epochs=100000")
    child = process(*command, cwd=tmp_path)
    try:
        wait_for_epoch(tmp_path, 1, child)
        second = fdi_run(*command)
        assert second.code == 1
        assert f"is being run by process {child.pid}" in second.err
        assert fdi_run(*command, "dry_run=true").out.startswith("running")
    finally:
        child.kill()
        child.communicate()
