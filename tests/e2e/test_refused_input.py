"""Wrong input ends in one line and a code that is not 0, and leaves nothing behind: the table of
all of it but for Hydra's words (test_hydra_words.py), and the only place where a test knows its
words.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import REFERENCE, SMALL, TINY
from making import write_shd

import fdi.cli.data
import fdi.cli.figures
import fdi.cli.report
import fdi.cli.run
import fdi.cli.status
import fdi.cli.table
from fdi.data.dataset import Dataset, Split
from fdi.data.inputs import Frames
from fdi.figures.picture import draw_dataset

BIG = "9" * 400
MAKE = "def make(input_shape, classes, steps, dt, neuron{}):\n    return None\n"
ENGINE = """
from fdi.engine.reference import ReferenceEngine

class Narrow(ReferenceEngine):
    devices = ("cpu",)

    def check(self, network):
        if len(network.hidden) > 1:
            raise ValueError("engine=narrow computes one hidden layer; use engine=auto")
"""
OWN = {
    "lacking.py": MAKE.format(", needed"),
    "model/lacking.yaml": "_target_: lacking.make\n",
    "takes.py": MAKE.format(""),
    "model/takes.yaml": "_target_: takes.make\nx: 3\n",
    "three.py": "def make():\n    return 3\n",
    "neuron/three.yaml": "_target_: three.make\n",
    "init/three.yaml": "_target_: three.make\n",
    "narrow.py": ENGINE,
    "engine/narrow.yaml": "name: narrow\n_target_: narrow.Narrow\ndecides: []\n",
}
MINE = ("--config-dir", "{own}")
CPU, CUDA = ("engine=auto",), ("engine=auto", "device=cuda")
ARRAYS = ("dataset=arrays", "probe=before")
HDF5 = ("dataset=hdf5", "dataset.root={spikes}/set")
PAIR = ("train", "test")
OPTIONS = ("--config-dir", str(Path(__file__).parents[2] / "examples" / "own" / "conf"))
NADAM = ("optimizer=adam", "optimizer._target_=torch.optim.NAdam")
PRIMED = ("init=homeostatic", "homeostasis=none")
RECIPE = ("experiment=recipe",)
BEST = ("-m", "experiment=best", "budget=laptop", "init=kaiming,fluct")
ZOO = ("-m", "experiment=zoo", "budget=laptop", "zoo.networks=3", "init=kaiming,fluct")

RUN = [
    ([f"homeostasis.upper.rate={BIG}"], "homeostasis.upper.rate: int too large to convert"),
    (["engine=[1]"], "engine = [1] is not the name of an option; choose one of auto, cpu,"),
    (["dataset=null"], "dataset = null is not the name of an option; choose one of arrays,"),
    (["name=${seed}"], "name = 0 must be {dataset, model, init, experiment}"),
    (["identity.exclude=${name}"], "which keys tell runs apart is the same for all runs"),
    (["paths.data='\\${seed}'"], "paths.data = ${seed} must not contain ${, which would be"),
    (["-m", "seed=0,1", "hydra.sweeper._target_=x.Y"], "hydra/sweeper: fdi runs all combinations"),
    (["--seed=3"], "--seed=3 is not an option; write settings without dashes, as in seed=3"),
    (["-m", "--seed", "3"], "--seed is not an option; "),
    (["--cfg", "yaml"], "argument -c/--cfg: invalid choice: 'yaml'"),
    (["lr=0.1"], "lr: no such key; did you mean optimizer.lr?"),
    (
        ["+scheduler={{_target_:torch.optim.lr_scheduler.StepLR}}"],
        "run: scheduler._target_ = torch.optim.lr_scheduler.StepLR: missing a required argument",
    ),
    (["dataset.steps=2"], "a trial has 2 of the 3 steps that a spike takes to reach the membrane"),
    (["-m", "seed=0,1", "paths.results={own}/lacking.py/x"], "lacking.py/x cannot be written: Not"),
    (["paths.results={own}/lacking.py/x"], "lacking.py/x cannot be written: Not a directory"),
    ([*ARRAYS, "dataset.file={spikes}/zero.npz"], "no training sample has a spike; check the data"),
    ([*ARRAYS, "dataset.file={spikes}/inf.npz"], "x holds nan or infinite values"),
    (["-m", "seed=range(0)"], "the sweep has no cells; give each of its keys a value"),
    (["-m", "init=kaiming,fluct", "seed=0,x"], "seed = x must be an integer at least 0"),
    (
        ["-m", "hydra/launcher=local", "hydra.launcher.n_jobs=0"],
        "hydra.launcher.n_jobs = 0 must be",
    ),
    (["-m", "hydra.sweeper.max_batch_size=-1"], "hydra.sweeper.max_batch_size = -1 must be"),
    (
        ["logger=wandb", "logger.wandb.mode=offlin"],
        "logger.wandb.mode = offlin must be offline or",
    ),
    ([*PRIMED, "init.base=kaimin"], "init = 'kaimin': did you mean kaiming? "),
    ([*PRIMED, "init.base=homeostatic"], "init = 'homeostatic': choose one of "),
    ([*PRIMED, "init.options={{gain:-1}}"], "gain = -1 must be a number above 0"),
    ([*PRIMED, "init.options={{gian:1}}"], "init = kaiming has no gian; did you mean gain?"),
    ([*PRIMED, "model=dale"], "init.base = kaiming draws weights of both signs, and Dale's law"),
    (
        [*PRIMED, "model=dale", "init.base=fluct", "init.rule=fluctuations"],
        "init.rule = fluctuations centres the weights of a neuron, and Dale's law",
    ),
    (["-m", "init=kaiming,fluct", "init.sgima_u=1"], "init.sgima_u: no such key; did you mean sig"),
    ([*OPTIONS, "neuron.surrogate=own_parts.laplaze"], "neuron.surrogate = own_parts.laplaze does"),
    (
        [*OPTIONS, "neuron.surrogate=os.system"],
        "neuron.surrogate = os.system is not of fdi, and th",
    ),
    (["neuron.surrogate=superspik"], "neuron.surrogate = superspik must be superspike or"),
    (["optimizer._target_=torch.optim.NAdamm"], "has no NAdamm; did you mean NAdam"),
    ([*NADAM, "+optimizer.momentu=1"], "NAdam: got an unexpected keyword argument 'momentu'"),
    (["optimizer=sgd", "optimizer._target_=torch.optim.LBFGS"], "torch.optim.LBFGS"),
    (["trainer.frozen=[h3]"], "no population h3; choose one of h1, hidden, readout"),
    (["trainer.frozen=[hidden,readout]"], "nothing is left to learn; leave a population out"),
    ([*RECIPE, "seed=1000"], "seed=1000 is a seed of the trials (recipe.seeds)"),
    ([*RECIPE, "dataset.valid=0"], "dataset.valid = 0"),
    (["-m", *RECIPE, "model.hidden=4,8"], "give one value of model.hidden"),
    ([*RECIPE, "probe=only"], "probe = only trains nothing"),
    ([*RECIPE, "recipe.budget=0.5"], "recipe.budget = 0.5"),
    ([*RECIPE, "recipe.seeds=[1000,1001]"], "recipe.seeds = 1000, 1001: a search has one seed"),
    ([*RECIPE, "objective=mean_square"], "objective = MeanSquare: a recipe"),
    (["neuron.tau_mem=20"], "neuron.tau_mem = 20 must be 1e-06 to 1 s; in seconds: 0.02?\n"),
    (["neuron.tau_mem=2000"], "neuron.tau_mem = 2000 must be 1e-06 to 1 s\n"),
    (["neuron.tau_mem=0"], "neuron.tau_mem = 0 must be 1e-06 to 1 s\n"),
    ([*ARRAYS, "dataset.file={spikes}/one_hot.npz"], "one-hot labels: give their classes, y.argm"),
    ([*ARRAYS, "dataset.file={spikes}/one_hot_int.npz"], "of 5; these are one-hot labels: give"),
    (
        [*ARRAYS, "dataset.file={spikes}/named.npz"],
        "did you mean 'dataset.names={x: X_train, y: labels, x_test: X_test, y_test: testLabel}'?",
    ),
    ([*ARRAYS, "dataset.file={spikes}/other.h5"], "labels are read by dataset=hdf5 dataset.root="),
    (
        ["dataset=hdf5", "dataset.root={spikes}", *(f"dataset.{p}_file=xy.h5" for p in PAIR)],
        "no spikes/times, spikes/units, labels; not in the layout of SHD (found: x, y); arrays bel",
    ),
    (["dataset=hdf5", "dataset.file=x.h5"], "dataset.file: no such key; did you mean train_file?"),
    (["dataset=./mine.npz"], "for your own file write dataset=arrays dataset.file=./mine.npz\n"),
    (["dataset=mine.h5"], "write dataset=hdf5 dataset.root=FOLDER dataset.train_file=mine.h5\n"),
    (["data=shd"], "data: no such key; did you mean dataset=shd?\n"),
    (["exp=depth"], "exp: no such key; did you mean experiment=depth?\n"),
    (["learning_rate=1"], "learning_rate: no such key; did you mean optimizer.lr?\n"),
    (["optimizer.learning_rate=1"], "optimizer.learning_rate: no such key; did you mean lr?"),
    (["-m", "seed=0:5"], "seed = 0:5 must be an integer at least 0; several values are range(0,5)"),
    (["seeds=5"], "seeds: no such key; did you mean -m 'seed=range(5)'?\n"),
    (["init=kaiming", "init.sigma_u=1"], "init.sigma_u: no such key of init=kaiming; choose o"),
    (["init=Kaiming"], "init = Kaiming does not exist; did you mean kaiming? choose one of"),
    (["tags=draft"], "tags = draft must be a list, each text, as in [a,b]"),
    (["init.nu=600"], "init.nu = 600 Hz is more than one spike in a step of dataset.dt = 0."),
    (["init.nu={{input:600}}"], "init.nu.input = 600 Hz is more than one spike in a step of da"),
    (["dataset.samples=100000000000"], "dataset = randman does not fit into memory"),
    (["model.hidden=100000000000"], "the network does not fit into memory"),
    (["model=conv", "model.kernel=50", "model.padding=0"], "leaves no neuron"),
    (["trainer.patience=1", "dataset.valid=0"], "trainer.patience = 1 waits for a better epoch"),
    (["device=cuda:99"], "device = cuda:99: PyTorch finds"),
    ([*HDF5, "dataset.train_file={spikes}/other.h5"], "is no file within"),
    ([*HDF5, "dataset.train_file=../other.h5"], "set dataset.root= to the folder that all"),
    ([*HDF5, *(f"dataset.{part}_file=silent.h5" for part in PAIR)], "no spikes in"),
    (["dataset=hdf5", "dataset.root={spikes}/loop"], "loop/train.h5: empty, damaged or not HDF5"),
    (
        [*MINE, "model=lacking"],
        "model._target_ = lacking.make: missing a required argument",
    ),
    ([*MINE, "neuron=three"], "neuron._target_ = three.make makes no "),
    ([*MINE, "init=three"], "init._target_ = three.make makes no "),
    ([*MINE, "model=takes"], "model.x: no such key; takes.make takes none"),
    ([*MINE, "engine=narrow", "model.depth=2"], "engine=narrow computes one hidden layer; use"),
    ([*MINE, "engine=narrow", "engine.name=cpu"], "engine.name = cpu is that of fdi.engine.cpu"),
    (
        [*MINE, "engine=narrow", "+engine.wide=1"],
        "engine.wide: no such key; choose one of decides",
    ),
    ([*CPU, "engine.kernels=off"], "engine.kernels: no such key of engine=auto; choose"),
    ([*CPU, "engine.memory=-1"], "engine.memory = -1 must be a number at least 0"),
    ([*CUDA, "engine.checkpoint=auto"], "engine.checkpoint: no such key; choose"),
    ([*CUDA, "engine.among=[cpu]"], "engine.among: none of [cpu] computes"),
    ([*BEST, "optimizer.lr=0.1"], "optimizer.lr is what is chosen"),
    ([*BEST, "model.hiden=3"], "model.hiden: no such key; did you mean hidden?"),
    ([*BEST, "seed=0,1000"], "seed=1000 is a seed of the trials"),
    ([*BEST, "dataset.valid=0"], "a choice needs a validation split"),
    ([*BEST, "tune.key=init.sigma_u"], "tune chooses init.sigma_u; the comparison knows"),
    ([*ZOO, "zoo.kinds.dense.share=-1"], "zoo.kinds.dense.share = -1 must be a number of at l"),
    ([*ZOO, "+zoo.draw.neuron.theta=1"], "zoo"),
    (
        [*ZOO, "objective=mean_square", "trainer.readout=last"],
        "objective = MeanSquare: a zoo tells",
    ),
]
DATA = [
    (["poisson", "shape=[100000000000]"], "poisson does not fit into memory"),
    (["randman", "foo=1"], "dataset.foo: no such key of dataset=randman; choose one of"),
    (["randman", "dt=fast"], "dataset.dt = fast must be a number"),
    (["randman", "binning=sum"], "dataset.binning = sum must be binary or counts"),
    (["randman", "samples=0"], "dataset.samples = 0 must be an integer at least 1"),
    (["randman", "dt=[1,"], "dt=[1,"),
    (["randman", "dt"], "unrecognized arguments: dt"),
    (["hdf5", "root={spikes}/set", "channels=100000000000"], "channels = 100,000,000,000; at mo"),
    (["hdf5", "root=/etc", "train_file=passwd", "test_file=passwd"], "passwd"),
]
TABLES = [
    ("status", [], "no runs in results; fdi-run -m experiment=quickstart makes some"),
    ("table", [], "no runs in results/runs; make some: "),
    ("table", ["--best", "--versus", "fluct"], "--versus goes with the summary; leave it out"),
    ("table", ["--best", "--full"], "argument --full: not allowed with argument --best"),
    ("table", ["--probe", "--runs", "a.csv"], "--runs"),
    ("table", ["--best", "--runs", "a.csv"], "--runs"),
    ("figures", [], "no runs in results/runs; make some: fdi-run"),
    ("figures", ["--own", "init"], "no figure init; every figure shows init by colour; learning"),
    ("figures", ["--own", "learning_curve"], "no figure learning_curve; did you mean learning_cur"),
    ("table", ["--columns", "init"], "--columns goes with --csv or --latex"),
    ("table", ["--probe", "--full"], "argument --full: not allowed with argument --probe"),
    ("table", ["--runs", "a.csv", "--csv"], "--runs and --curves write whole tables of their own"),
    ("report", [], "no runs in results/runs; make some: fdi-run"),
    ("report", ["--no"], "unrecognized arguments: --no; see fdi-report --help"),
]
CASES = [*(("run", *row) for row in RUN), *(("data", *row) for row in DATA), *TABLES]
COMMANDS = {
    "run": fdi.cli.run.main,
    "data": fdi.cli.data.main,
    "status": fdi.cli.status.main,
    "table": fdi.cli.table.main,
    "figures": fdi.cli.figures.main,
    "report": fdi.cli.report.main,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Data, and options and code of one's own, elsewhere."""
    spikes, own = tmp_path_factory.mktemp("spikes"), tmp_path_factory.mktemp("own")
    for folder in ("set", "loop"):
        (spikes / folder).mkdir()
    for name in ("train.h5", "test.h5"):
        (spikes / "loop" / name).symlink_to(name)
    for name, n in (("set/train", 5), ("set/test", 5), ("other", 5), ("set/silent", 0)):
        write_shd(spikes / f"{name}.h5", [(np.linspace(0, 0.5, n), [0] * n)] * 40, [0, 1] * 20)
    x, y = np.ones((40, 5, 3)), np.arange(40) % 2
    for name, value in (("zero", 0), ("inf", np.inf)):
        np.savez(spikes / f"{name}.npz", x=value * x, y=y)
    np.savez(spikes / "one_hot.npz", x=x, y=np.eye(2)[y])
    np.savez(spikes / "one_hot_int.npz", x=x, y=np.eye(2, dtype=int)[y])
    np.savez(spikes / "named.npz", X_train=x, labels=y, X_test=x, testLabel=y)
    with h5py.File(spikes / "xy.h5", "w") as file:
        file["x"], file["y"] = x, y
    for name, text in OWN.items():
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).write_text(text)
    return {"spikes": spikes, "own": own}


def given(words: list[str], files: dict[str, Path]) -> list[str]:
    """The words of a small run, but for those that `words` replace."""
    words = [word.format(**files) if "${" not in word else word for word in words]
    keys = {word.partition("=")[0] for word in words}
    groups = {f"{key}." for key in keys & {"dataset", "model"}}
    kept = [word for word in TINY if not word.startswith(tuple(groups))]
    return [*(word for word in kept if word.partition("=")[0] not in keys), *words]


@pytest.mark.parametrize(("command", "words", "line"), CASES)
def test_it_is_refused(fdi_run, tmp_path, files, command, words, line):
    arguments = given(words, files) if command == "run" else [w.format(**files) for w in words]
    if command == "data":
        arguments = ["show", *arguments]
    before = {path for folder in files.values() for path in folder.rglob("*.[hy]*")}
    found = fdi_run(*arguments, main=COMMANDS[command])
    assert (found.code in (1, 2), found.err.count("\n")) == (True, 1), found.err
    assert line in found.err
    assert not list(tmp_path.iterdir())
    assert {path for folder in files.values() for path in folder.rglob("*.[hy]*")} == before


@pytest.mark.parametrize(("launcher", "extra"), [("ray", "ray"), ("local", "parallel")])
def test_a_launcher_that_is_not_installed_is_one_line(
    fdi_run, tmp_path, monkeypatch, launcher, extra
):
    for module in ("joblib", "ray"):
        monkeypatch.setitem(sys.modules, module, None)
    found = fdi_run("-m", f"hydra/launcher={launcher}", "seed=0,1", *TINY)
    assert (found.code, found.err.count("\n")) == (2, 1), found.err
    assert f"pip install 'fdi-snn[{extra}]'" in found.err
    assert not list(tmp_path.iterdir())


def test_rates_above_a_spike_a_step_are_fine_where_spikes_are_counted(fdi_run):
    words = ("dataset.binning=counts", "init.nu=600", "dry_run=true")
    assert fdi_run(*SMALL, REFERENCE, *words).code == 0


def test_a_rough_manifold_and_frames_of_floats_are_drawn(tmp_path, fdi_run):
    words = ("show", "randman", "alpha=1e-9", "samples=20", "units=3")
    assert fdi_run(*words, main=fdi.cli.data.main).code == 0
    frames = np.random.default_rng(0).random((8, 5, 2, 3, 3), dtype=np.float32)
    split = Split(Frames(frames), np.arange(8) % 2)
    draw_dataset(Dataset("mine", split, split, split, 2, (2, 3, 3), 5, 1e-3), tmp_path / "mine.png")
    assert (tmp_path / "mine.png").stat().st_size
