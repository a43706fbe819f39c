"""Cells beside each other take the GPUs that are free."""

import os
import sys
from subprocess import PIPE, Popen

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf, open_dict

from fdi.cli import launch
from fdi.cli.launch import Gpus, share
from fdi.config.identity import contents

JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"


def shared(monkeypatch, gpus: int, *devices: str, target=JOBLIB, **launcher):
    """What cells on `devices` share on a machine with `gpus`, and what the launcher learns."""
    monkeypatch.setattr("fdi.config.identity.gpus", lambda: gpus)
    node = OmegaConf.create({"_target_": target} | launcher)
    found = share(devices, node)
    return found and found[1:3], node


@pytest.mark.parametrize(
    ("given", "gpus", "found", "jobs"),
    [
        ({}, 0, None, -1),
        ({}, 4, (4, 1), 4),
        ({"cells_per_gpu": 3}, 4, (4, 3), 12),
        ({"n_jobs": 6}, 4, (4, 2), 6),
    ],
)
def test_cells_at_once(monkeypatch, given, gpus, found, jobs):
    given = {"n_jobs": -1, "cells_per_gpu": 1} | given
    assert shared(monkeypatch, gpus, "cpu", "cuda", **given) == (
        found,
        {"_target_": JOBLIB, "n_jobs": jobs},
    )
    assert shared(monkeypatch, gpus, "cpu", "cuda:1", **given | {"cells_per_gpu": 1})[0] is None


def test_cells_of_a_gpu_that_say_nothing_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"no cell of this sweep shares a GPU; give device=cuda"):
        shared(monkeypatch, 0, "cuda", n_jobs=-1, cells_per_gpu=2)
    with pytest.raises(ValueError, match=r"n_jobs = 8 says already how many"):
        shared(monkeypatch, 4, "cuda", n_jobs=8, cells_per_gpu=2)


def test_isolated_cells_see_all_gpus_and_start_one_on_each(monkeypatch):
    target = f"{SUBMITIT}.LocalLauncher"
    node = {"cpus_per_task": 1, "gpus_per_node": None}
    found, node = shared(monkeypatch, 2, "cuda", target=target, **node)
    assert (found, node.gpus_per_node) == ((2, 1), 2)
    monkeypatch.setattr(launch, "cores", lambda: 16)
    assert launch._at_once(node, Gpus(1, 2, 1, None)) == 2
    assert launch._at_once(node, None) == 16


@pytest.mark.parametrize(
    ("device", "node", "words"),
    [
        ("cuda", {"target": f"{SUBMITIT}.SlurmLauncher", "gpus_per_node": None}, "gpus_per_node=1"),
        ("cuda", {"target": f"{SUBMITIT}.SlurmLauncher", "gpus_per_node": 1}, None),
        ("cuda", {"target": f"{SUBMITIT}.SlurmLauncher", "gres": "gpu:1"}, None),
        ("cpu", {"target": f"{SUBMITIT}.SlurmLauncher", "gpus_per_node": None}, None),
        ("cuda", {"target": "RayLauncher", "ray": {"remote": {"num_gpus": 0}}}, "num_gpus = 0"),
        ("cuda", {"target": "RayLauncher", "ray": {"remote": {"num_gpus": 0.25}}}, None),
    ],
)
def test_cells_that_would_get_no_gpu_are_refused(monkeypatch, device, node, words):
    if words is None:
        assert shared(monkeypatch, 0, device, **node)[0] is None
    else:
        with pytest.raises(ValueError, match=words):
            shared(monkeypatch, 0, device, **node)


def test_a_cell_waits_for_no_gpu_that_another_has():
    """Two processes on two GPUs, one of which ends: the next takes the one that is free."""
    code = "import sys; from fdi.cli.launch import Gpus; print(Gpus({}, 2, 1, None).take()); "
    code = code.format(os.getpid()) + "sys.stdout.flush(); sys.stdin.read()"

    def start():
        process = Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, text=True)
        return process, process.stdout.readline().strip()

    def end(process):
        process.communicate()

    first, second = start(), start()
    assert (first[1], second[1]) == ("cuda:0", "cuda:1")
    end(second[0])
    third = start()
    assert third[1] == "cuda:1"
    first[0].kill()
    end(first[0])
    fourth = start()
    assert fourth[1] == "cuda:0"
    for process, _ in (third, fourth):
        end(process)
    Gpus(os.getpid(), 2, 1, None).end()


def composed(*overrides: str):
    """Hydra's node of a sweep, as the launcher gets it."""
    with initialize_config_module("fdi.conf", version_base="1.3"):
        return compose("config", [*overrides], return_hydra_config=True).hydra.launcher


of_ray = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/ray' is validated")


@of_ray
@pytest.mark.parametrize(
    ("launcher", "plugin", "gpu"),
    [
        (
            "slurm",
            "hydra_submitit_launcher.config.SlurmQueueConf",
            {"gpus_per_node": 1, "constraint": "a100"},
        ),
        ("isolated", "hydra_submitit_launcher.config.LocalQueueConf", {"gpus_per_node": 1}),
        ("ray", "hydra_ray_launcher._config.RayLauncherConf", {"ray.remote.num_gpus": 0.25}),
        ("local", "hydra_joblib_launcher.config.JobLibLauncherConf", {"cells_per_gpu": 1}),
    ],
)
def test_a_launcher_knows_all_keys_of_its_file(launcher, plugin, gpu):
    module, _, name = f"hydra_plugins.{plugin}".rpartition(".")
    schema = getattr(pytest.importorskip(module), name)
    node = composed(
        f"hydra/launcher={launcher}", *(f"hydra.launcher.{key}={v}" for key, v in gpu.items())
    )
    for key, value in gpu.items():
        assert OmegaConf.select(node, key) == value
    with open_dict(node):
        share((), node)
    plain = OmegaConf.to_container(node, resolve=False)
    OmegaConf.merge(OmegaConf.structured(schema), plain)  # refuses a key or type it does not know


@of_ray
def test_a_task_of_ray_takes_the_options_of_its_file():
    ray = pytest.importorskip("ray")
    node = composed("hydra/launcher=ray", "hydra.launcher.ray.remote.num_gpus=0.25")
    options = contents(node.ray.remote)
    ray.remote(**options)(launch.launch)  # refuses an option or a value that it does not know


def test_slurm_asks_for_a_gpu():
    submitit = pytest.importorskip("submitit")
    node = composed(
        "hydra/launcher=slurm", "hydra.launcher.gpus_per_node=1", "hydra.launcher.constraint=a100"
    )
    known = submitit.slurm.slurm._get_default_parameters()
    assert {"gpus_per_node", "constraint"} <= set(known)
    script = submitit.slurm.slurm._make_sbatch_string(
        "true", "folder", gpus_per_node=node.gpus_per_node, constraint=node.constraint
    )
    assert "#SBATCH --gpus-per-node=1" in script
    assert "#SBATCH --constraint=a100" in script
