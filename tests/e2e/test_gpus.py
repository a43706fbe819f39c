"""Cells beside each other take the visible GPUs in turn."""

from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf, open_dict

from fdi.cli import launch


def test_gpus_are_taken_in_turn(monkeypatch):
    monkeypatch.setattr("fdi.config.devices.gpus", lambda: 2)
    local = OmegaConf.create({"n_jobs": -1})

    def cell(device, *overrides):
        return SimpleNamespace(overrides=overrides, values={"device": device, "threads": 1})

    cells = [cell("cuda", "seed=0"), cell("cuda", "seed=1"), cell("cuda", "seed=2")]
    found = launch._shared_gpus(cells, local)
    given = [launch._overrides(c, i, local, found)[-1] for i, c in enumerate(cells)]
    assert (found, given) == (2, ["device=cuda:0", "device=cuda:1", "device=cuda:0"])
    assert launch._shared_gpus([cell("cpu"), cell("cuda:1")], local) == 0
    assert launch._shared_gpus(cells, OmegaConf.create({"cpus_per_task": 4})) == 0
    assert launch._overrides(cell("cpu", "device=auto"), 0, local, 0)[-1] == "device=cpu"


@pytest.mark.parametrize(
    ("given", "gpus", "jobs"),
    [({}, 0, -1), ({}, 4, 4), ({"cells_per_gpu": 3}, 4, 12), ({"n_jobs": 3}, 4, 3)],
)
def test_cells_at_once(given, gpus, jobs):
    launcher = OmegaConf.create({"n_jobs": -1, "cells_per_gpu": 1} | given)
    launch._share(launcher, gpus)
    assert launcher == {"n_jobs": jobs}


def test_cells_of_a_gpu_that_say_nothing_are_refused():
    def share(gpus, **given):
        launch._share(OmegaConf.create(given), gpus)

    with pytest.raises(ValueError, match=r"no cell of this sweep shares a GPU; give device=cuda"):
        share(0, n_jobs=-1, cells_per_gpu=2)
    with pytest.raises(ValueError, match=r"n_jobs = 8 says already how many"):
        share(4, n_jobs=8, cells_per_gpu=2)


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
        ("local", "hydra_joblib_launcher.config.JobLibLauncherConf", {"cells_per_gpu": 2}),
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
    if "cells_per_gpu" in node:
        with open_dict(node):
            launch._share(node, gpus=4)
    plain = OmegaConf.to_container(node, resolve=False)
    OmegaConf.merge(OmegaConf.structured(schema), plain)  # refuses a key or type it does not know


@of_ray
def test_a_task_of_ray_takes_the_options_of_its_file():
    ray = pytest.importorskip("ray")
    node = composed("hydra/launcher=ray", "hydra.launcher.ray.remote.num_gpus=0.25")
    options = OmegaConf.to_container(node.ray.remote)
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
