"""Sweeps on clusters that are real but small: a Ray cluster of two nodes, and a SLURM controller
with one, started by the tests on this machine and ended by them.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from commands import process, records

SMALL = ("engine=reference", "dataset.samples=20", "trainer.batch_size=50", "model.hidden=8")
SLURM = """\
ClusterName=fdi
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until(true: Callable[[], bool], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def ended(children: list[subprocess.Popen]) -> None:
    for child in reversed(children):
        child.terminate()
    for child in children:
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def epochs(folder: Path) -> list[int]:
    files = sorted(folder.glob("results/runs/*/*/*/*/metrics.csv"))
    return [len(file.read_text().splitlines()) - 1 for file in files]


def swept(folder: Path, *words: str) -> str:
    """What a sweep prints that must succeed."""
    child = process("-m", *SMALL, *words, cwd=folder)
    out, err = child.communicate(timeout=300)
    assert child.returncode == 0, err + out
    return out


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Iterator[None]:
    for program in ("slurmctld", "slurmd", "sbatch"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (Debian: slurm-wlm)")
    if os.geteuid() != 0:
        pytest.skip("slurmd wants to be root")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    folder = tmp_path / "slurm"
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True)
    given = dict(host=socket.gethostname().partition(".")[0], ports=free_ports(2), folder=folder)
    given |= dict(user=getpass.getuser(), cores=len(os.sched_getaffinity(0)))
    (folder / "slurm.conf").write_text(SLURM.format(**given))
    (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    with (folder / "out.log").open("w") as log:
        children = [
            subprocess.Popen([program, "-D"], stdout=log, stderr=log)
            for program in ("slurmctld", "slurmd")
        ]

        def idle() -> bool:
            said = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True)
            return said.stdout.strip() == "idle"

        try:
            until(idle, "no node of SLURM is idle", 60)
            yield
        finally:
            ended(children)


def test_a_job_array_of_slurm_in_which_a_job_is_preempted(slurm, tmp_path):
    words = ("hydra/launcher=slurm", "hydra.launcher.partition=main", "seed=range(2)")
    asked = ("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1", "trainer.epochs=150")
    child = process("-m", *SMALL, *words, *asked, cwd=tmp_path)
    until(lambda: max(epochs(tmp_path), default=0) > 3 or child.poll() is not None, "no epoch")
    jobs = subprocess.run(["squeue", "-h", "-r", "-o", "%i"], capture_output=True, text=True)
    array = jobs.stdout.split()[0].partition("_")[0]
    subprocess.run(["scancel", "--signal=USR2", f"{array}_0"], check=True)
    out, err = child.communicate(timeout=300)
    assert child.returncode == 0, err + out
    assert "2 cells: 2 done" in out.splitlines()
    assert epochs(tmp_path) == [150, 150]
    logs = [file.read_text() for file in tmp_path.glob("results/runs/*/*/*/*/output.log")]
    assert sum("resumed after epoch" in log for log in logs) == 1
    assert {run.origin["threads"] for run in records(tmp_path).values()} == {1}


def runtimes(log: Path, number: int) -> bool:
    return log.read_text().count("Ray runtime started") == number


@pytest.fixture
def ray_cluster(tmp_path_factory) -> Iterator[str]:
    """Address of a cluster of two nodes, with a core each."""
    pytest.importorskip("ray")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    folder = tmp_path_factory.mktemp("ray")
    start = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus=1"]
    start += ["--disable-usage-stats", "--object-store-memory=80000000"]
    head = ["--head", f"--port={address.partition(':')[2]}", "--include-dashboard=false"]
    children = []
    with (folder / "out.log").open("w") as log:
        try:
            for words in (
                [*head, "--node-ip-address=127.0.0.1", f"--temp-dir=/tmp/fdi-ray-{os.getpid()}"],
                [f"--address={address}", "--node-ip-address=127.0.0.2"],
            ):
                children.append(subprocess.Popen([*start, *words], stdout=log, stderr=log))
                until(partial(runtimes, folder / "out.log", len(children)), "no Ray")
            yield address
        finally:
            ended(children)
            shutil.rmtree(f"/tmp/fdi-ray-{os.getpid()}", ignore_errors=True)


def test_a_ray_cluster_that_runs(ray_cluster, tmp_path):
    words = ("hydra/launcher=ray", f"hydra.launcher.ray.init.address={ray_cluster}")
    out = swept(tmp_path, *words, "seed=range(4)", "trainer.epochs=30")
    assert "4 cells: 4 done" in out.splitlines()
    assert epochs(tmp_path) == [30] * 4
