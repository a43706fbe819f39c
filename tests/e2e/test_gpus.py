"""Cells on a GPU, and what launchers are asked for."""

from contextlib import nullcontext

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from fdi.cli.sweep import check_gpus, launch
from fdi.config.identity import contents

JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"


@pytest.mark.parametrize(
    ("device", "given", "jobs"), [("cpu", -1, -1), ("cuda", -1, 1), ("cuda:1", 6, 6)]
)
def test_cells_at_once(device, given, jobs):
    node = OmegaConf.create({"_target_": JOBLIB, "n_jobs": given})
    check_gpus({"cpu", device}, node)
    assert node.n_jobs == jobs


@pytest.mark.parametrize(
    ("device", "node", "words"),
    [
        (
            "cuda",
            {"_target_": f"{SUBMITIT}.SlurmLauncher", "gpus_per_node": None},
            "gpus_per_node=1",
        ),
        ("cuda", {"_target_": f"{SUBMITIT}.SlurmLauncher", "gpus_per_node": 1}, None),
        ("cuda", {"_target_": f"{SUBMITIT}.SlurmLauncher", "gres": "gpu:1"}, None),
        ("cuda", {"_target_": f"{SUBMITIT}.LocalLauncher"}, "isolated hides the GPUs"),
        ("cpu", {"_target_": f"{SUBMITIT}.SlurmLauncher", "gpus_per_node": None}, None),
        ("cuda", {"_target_": "RayLauncher", "ray": {"remote": {"num_gpus": 0}}}, "num_gpus = 0"),
        ("cuda", {"_target_": "RayLauncher", "ray": {"remote": {"num_gpus": 0.25}}}, None),
    ],
)
def test_cells_that_would_get_no_gpu_are_refused(device, node, words):
    with pytest.raises(ValueError, match=words) if words else nullcontext():
        check_gpus({device}, OmegaConf.create(node))


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
        ("isolated", "hydra_submitit_launcher.config.LocalQueueConf", {"cpus_per_task": 2}),
        ("ray", "hydra_ray_launcher._config.RayLauncherConf", {"ray.remote.num_gpus": 0.25}),
        ("local", "hydra_joblib_launcher.config.JobLibLauncherConf", {"n_jobs": 2}),
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
    plain = OmegaConf.to_container(node, resolve=False)
    OmegaConf.merge(OmegaConf.structured(schema), plain)  # refuses a key or type it does not know


@of_ray
def test_a_task_of_ray_takes_the_options_of_its_file():
    ray = pytest.importorskip("ray")
    node = composed("hydra/launcher=ray", "hydra.launcher.ray.remote.num_gpus=0.25")
    options = contents(node.ray.remote)
    ray.remote(**options)(launch)  # refuses an option or a value that it does not know
