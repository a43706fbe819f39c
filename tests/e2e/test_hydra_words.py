"""What Hydra's users may type: its flags (hydra.cc/docs/advanced/hydra-command-line-flags), the
nodes of its configuration (hydra.cc/docs/configure_hydra/intro) and its override grammar
(hydra.cc/docs/advanced/override_grammar). Each does what they expect, or is one line with fdi's
way; the dry run and the run agree.
"""

from __future__ import annotations

from dataclasses import fields

import pytest
from commands import TINY, records
from hydra.conf import HydraConf
from omegaconf import OmegaConf

FLAGS = {
    "--config-path DIR": "--config-path is Hydra's; --config-dir FOLDER adds options of your own",
    "-cp DIR": "-cp is Hydra's; --config-dir FOLDER",
    "--config-name NAME": "--config-name is Hydra's; --config-dir FOLDER",
    "-cn NAME": "-cn is Hydra's; --config-dir FOLDER",
    "--experimental-rerun FILE": "the same command goes on with a run",
    "--hydra-help": "fdi-run --help lists options and keys",
    "--info": "--cfg all shows what is composed",
    "--info=defaults": "--cfg all shows what is composed",
    "-i plugins": "--cfg all shows what is composed",
    "--package optimizer": "--package and --resolve go with --cfg",
    "-p optimizer": "--package and --resolve go with --cfg",
    "--resolve": "--package and --resolve go with --cfg",
    "--shell-completion install=bash": "fdi-run --help lists options and keys",
    "-sc install=bash": "fdi-run --help lists options and keys",
    "--cfg job -p nowhere": "--package nowhere: no part of the configuration",
}
SHOWN = {
    "--cfg job": "seed",
    "-c job": "seed",
    "--cfg all": "hydra.launcher._target_",
    "--cfg all --resolve": "hydra.launcher._target_",
    "--cfg hydra": "launcher._target_",
    "--cfg job --resolve": "seed",
    "--cfg job --package optimizer": "lr",
    "--cfg job -p optimizer": "lr",
    "--cfg hydra --package hydra.job": "name",
    "--cfg job --config-dir .": "seed",
    "--cfg job -cd .": "seed",
}
ONE, TWO, MANY = "", "-m seed=0,1 ", "-m "
ACTS = {
    ONE + "--run": 1,
    ONE + "-r": 1,
    TWO.replace("-m", "--multirun"): 2,
    ONE + "hydra.searchpath=[file://.]": 1,
    TWO + "hydra/launcher=basic": 2,
    TWO + "hydra/sweeper=basic": 2,
    TWO + "hydra.sweeper.max_batch_size=1": 2,
    ONE + "++seed=3": 1,
    ONE + "~logger": 1,
    ONE + "note='a b'": 1,
    ONE + "tags=[a,b]": 1,
    ONE + "note=${oc.env:HOME}": 1,
    ONE + "note=${now:%Y}": 1,
    ONE + "trainer.batch_size=${dataset.samples}": 1,
    ONE + "optimizer.lr=float(1)": 1,
    ONE + "note=str(1)": 1,
    MANY + "seed=int(1.5)": 1,
    MANY + "seed=choice(0,1)": 2,
    MANY + "seed=range(2)": 2,
    MANY + "seed=range(0,4,step=2)": 2,
    MANY + "seed=shuffle(0,1)": 2,
    MANY + "seed=sort(1,0,reverse=true)": 2,
    MANY + "seed=tag(a,choice(0,1))": 2,
    MANY + "init=glob(kai*)": 2,
    MANY + "init=glob([kai*,xav*],exclude=*_scaled)": 2,
}
LATER = "leave it out; "
REFUSED = {
    ONE + "hydra.mode=MULTIRUN": LATER + "-m makes a command a sweep",
    TWO + "hydra.mode=RUN": LATER,
    ONE + "hydra.run.dir=x": LATER + "paths.results=FOLDER is where runs are kept",
    TWO + "hydra.sweep.dir=x": LATER + "paths.results=FOLDER",
    TWO + "hydra.sweep.subdir=x": LATER + "paths.results=FOLDER",
    ONE + "hydra/output=default": LATER,
    ONE + "hydra.output_subdir=.hydra": LATER + "run.json",
    ONE + "hydra.job.chdir=true": LATER + "a run stays in the folder of its command",
    TWO + "hydra.job.chdir=true": LATER + "a run stays in the folder of its command",
    TWO + "hydra.job.env_set={A:1}": LATER,
    TWO + "hydra.job.env_copy=[A]": LATER,
    TWO + "hydra.job.config.override_dirname.kv_sep=x": LATER,
    TWO + "+hydra.callbacks.mine={_target_:mine.Callback}": "nothing calls them; a logger of your",
    ONE + "hydra/callbacks=mine": "nothing calls them; a logger of your own",
    ONE + "hydra.verbose=true": LATER + "a run writes run.log",
    ONE + "hydra/job_logging=default": LATER + "a run writes run.log",
    ONE + "hydra/hydra_logging=default": LATER,
    ONE + "hydra/help=default": LATER,
    ONE + "hydra/hydra_help=default": LATER,
    ONE + "hydra/env=default": LATER,
    ONE + "hydra.runtime.cwd=x": LATER,
    ONE + "hydra.overrides.task=[x]": LATER,
    ONE + "+hydra.laucher=x": "did you mean launcher? choose one of launcher, searchpath, sweeper",
    ONE + "hydra=x": "choose one of launcher, searchpath, sweeper",
    ONE + "hydra/launcher=local": "hydra/launcher=local is for sweeps; add -m, or leave it out",
    ONE + "hydra.sweeper.max_batch_size=1": "is for sweeps; add -m",
    TWO + "hydra.launcher=joblib": "a launcher is chosen by its name, as in hydra/launcher=basic",
    TWO + "~hydra/launcher": "a launcher is chosen by its name",
    TWO + "hydra/launcher=null": "null is not the name of an option; choose one of basic, isolated",
    TWO + "hydra/launcher=lcoal": "did you mean local?",
    TWO + "hydra/launcher=basic,local": "all cells of a sweep have the same",
    TWO + "hydra.launcher.n_jobs=2": "this launcher has none; choose another one",
    TWO + "hydra.sweeper=basic": "a sweeper is chosen by its name, as in hydra/sweeper=basic",
    TWO + "hydra/sweeper=optuna": "hydra/sweeper = optuna does not exist; choose one of basic",
    MANY + "+hydra.sweeper.params.seed=0": "the keys of a sweep are words of the command",
    MANY + "hydra.sweeper.params={seed:1}": "the keys of a sweep are words of the command",
    ONE + "seed=choice(0,1)": "has several values; add -m to run each of them",
    ONE + "init=glob(kai*)": "has several values; add -m to run each of them",
    MANY + "init=glob(zz*)": "init=glob(zz*): no option of init is called so; choose one of fluct,",
    MANY + "seed=glob(*)": "seed=glob(*): no option of seed can be: no group",
    MANY + "init.nu=interval(1,5)": "names no values; a sweep needs them, as in init.nu=1,2",
    ONE + "+seed=3": "Either remove + prefix: 'seed=3'",
    ONE + "+experiment=quickstart": "experiment is chosen without a +",
    ONE + "~model": "~model: each run has one; choose one of conv,",
    ONE + "~scheduler": "~scheduler: each run has one; choose one of cosine, none,",
    ONE + "~seed=3": "The value of 'seed' is 0 and not 3.",
    ONE + "optimizer@trainer=adam": "Could not override 'optimizer@trainer'",
    ONE + "tags=extend_list(a)": "cannot read 'tags=extend_list(a)'; write key=value",
}


def given(words: str) -> list[str]:
    parts = words.split(" ") if "'" not in words else [words]
    keys = {word.partition("=")[0].lstrip("+~") for word in parts}
    return [*(w for w in TINY if w.partition("=")[0] not in keys), *filter(None, parts)]


@pytest.mark.parametrize("words", FLAGS)
def test_a_flag_of_hydras_is_one_line_with_the_way_of_fdi(fdi_run, words):
    done = fdi_run(*words.split())
    assert (done.code, done.err.count("\n"), done.out) == (2, 1, "")
    assert FLAGS[words] in done.err


@pytest.mark.parametrize("words", SHOWN)
def test_a_configuration_is_shown_in_whole_or_in_part(fdi_run, words):
    done = fdi_run(*words.split())
    assert (done.code, done.err) == (0, "")
    assert OmegaConf.select(OmegaConf.create(done.out), SHOWN[words]) is not None


@pytest.mark.parametrize("words", ACTS)
def test_a_word_of_hydras_does_what_its_users_expect(fdi_run, tmp_path, words):
    dry = fdi_run(*given(words), "dry_run=true")
    assert (dry.code, dry.err) == (0, "")
    assert f"{ACTS[words]} cell" in dry.out
    assert (fdi_run(*given(words)).code, len(records(tmp_path))) == (0, ACTS[words])


@pytest.mark.parametrize("words", REFUSED)
def test_a_word_of_hydras_that_would_do_nothing_is_refused(fdi_run, tmp_path, words):
    for dry in ([], ["dry_run=true"]):
        done = fdi_run(*given(words), *dry)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert REFUSED[words] in done.err
    assert not [*tmp_path.iterdir()]


def test_the_list_has_each_node_of_hydras():
    said = {word for table in (ACTS, REFUSED) for words in table for word in words.split()}
    for node in (field.name for field in fields(HydraConf)):
        names = (f"hydra.{node}", f"hydra/{node}")
        assert node == "defaults" or any(word.lstrip("+~").startswith(names) for word in said), node


@pytest.mark.parametrize("node", ["callbacks: {a: {_target_: a.B}}", "job: {chdir: true}"])
def test_a_node_of_hydras_in_a_file_that_would_do_nothing_is_refused(fdi_run, tmp_path, node):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(
        f"# @package _global_\nhydra:\n  {node}\n"
    )
    done = fdi_run("--config-dir", "own", "experiment=mine", *TINY)
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert f"hydra.{node.partition(':')[0]} is set in a file of yours: leave it out" in done.err


def test_a_pattern_finds_options_of_ones_own(fdi_run, tmp_path):
    (tmp_path / "own" / "init").mkdir(parents=True)
    (tmp_path / "own" / "init" / "xyz.yaml").write_text("defaults: [kaiming]\n")
    words = ("--config-dir", "own", "-m", "init=glob(x*)", "dry_run=true")
    assert "/xyz/" in fdi_run(*words, *TINY).out
