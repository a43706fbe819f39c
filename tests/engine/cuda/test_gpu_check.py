"""scripts/gpu_check.py from its first line to its page, on a CPU and on tiny workloads; what a
fault makes of it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def gpu(monkeypatch):
    """The rows, tiny and on the CPU."""
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmark import gpu, workloads

    def tiny(works: dict) -> dict:
        small = dict(steps=8, batch=3, sizes=(7,) * 2)
        maps = dict(shape=(2, 5, 5), kernel=(3, 3), pool=(2, 2))
        return {
            name: work | small | (maps if "kernel" in work else dict(shape=(20,)))
            for name, work in works.items()
        }

    for name in ("WORKLOADS", "MORE"):
        monkeypatch.setattr(gpu, name, tiny(getattr(gpu, name)))
    monkeypatch.setattr(workloads, "DT", 2e-2)  # so that all layers spike in a few steps
    monkeypatch.setattr(workloads, "DENSITY", 0.3)
    given = dict(CHECKED=2, REPEATED=2, WARM=0, ROUNDS=1, EPOCHS=1, TRAINED=3)
    for name, value in (given | dict(DEVICE=torch.device("cpu"))).items():
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setitem(gpu.GIVEN, "steps", 12)
    return gpu


@pytest.fixture
def check(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(SCRIPTS)
    import gpu_check

    monkeypatch.setattr("sys.argv", ["gpu_check.py", "--out", str(tmp_path / "page.md")])
    return gpu_check


@pytest.mark.slow
def test_every_network_passes(gpu):
    for name in gpu.rows():
        kind = name.partition(": ")[0]
        if kind == "network":
            verdict, found = gpu.row(name)
            assert verdict == "PASS", found


@pytest.mark.parametrize("kind", ["events", "counted", "frames", "constant"])
def test_kept_and_shuffled_data_are_compared_with_sent_ones(gpu, kind):
    assert gpu.row(f"kept: {kind}")[0] == "PASS"


def test_kept_data_that_ignore_the_samples_fail(gpu, monkeypatch):
    from fdi.engine.cuda.kept import Kept

    monkeypatch.setattr(Kept, "take", lambda kept, indices: kept[0 : len(indices)])
    verdict, found = gpu.row("kept: events")
    assert (verdict, "not those of the reference" in found) == ("FAIL", True)
    assert "DIFFER" in found


@pytest.mark.slow
def test_a_run_is_repeated_and_compared_with_the_reference(gpu, monkeypatch):
    verdict, found = gpu.row("run")
    assert (verdict, found[:10]) == ("PASS", "equal bits")
    step = gpu.CudaEngine.step
    calls: list[torch.Tensor] = []

    def twice_as_far(engine, net, *given):
        outcome = step(engine, net, *given)
        for weight in net.parameters():
            weight.grad *= 2
        return outcome

    def once_in_a_while(engine, net, *given):
        outcome = step(engine, net, *given)
        calls.append(next(net.parameters()).grad.add_(1e-3 * (len(calls) == 2)))
        return outcome

    for fault, why in ((twice_as_far, "from those of the reference"), (once_in_a_while, "second")):
        monkeypatch.setattr(gpu.CudaEngine, "step", fault)
        verdict, found = gpu.row("run")
        assert (verdict, why in found) == ("FAIL", True)


def test_costs_stand_beside_what_was_counted(gpu):
    verdict, found = gpu.row("cost: dense")
    assert (verdict, "GiB by count" in found) == ("-", True)
    verdict, found = gpu.row("library: none, dense")
    assert (verdict, found) == ("-", "KeyError: 'none'")


def test_a_wrong_network_fails(gpu, monkeypatch):
    simulate = gpu.CudaEngine._tensor
    monkeypatch.setattr(gpu.CudaEngine, "_tensor", lambda *given: 0 * simulate(*given))
    verdict, found = gpu.row("network: dense")
    assert verdict == "FAIL"
    assert "spikes differ" in found


def test_rows_stand_on_the_page_as_they_come_until_time_is_out(check, monkeypatch, tmp_path):
    now, pages, page = [0.0], [], tmp_path / "page.md"

    def apart(name, seconds):
        pages.append(page.read_text() if page.exists() else "")
        now[0] += min(seconds, 40.0)
        return ("FAIL" if name == "network: dense" else "PASS", "found", "said")

    monkeypatch.setattr(check, "_apart", apart)
    monkeypatch.setattr(check.time, "monotonic", lambda: now[0])
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert ended.value.code == 1
    assert now[0] == pytest.approx(480.0)  # 8 of 10 minutes
    assert "| card | PASS | found |" in pages[1]
    assert "## network: dense" in pages[2]
    last = page.read_text()
    assert "| library: snntorch, dense | PASS | found |" in last  # one of each kind comes first
    assert "| library: snntorch, deep | - | not reached in this time |" in last
    kinds = [line[4:-8] for line in last.splitlines() if line.startswith("| **")]
    assert kinds == list(check.DECIDES.values())
    names = [line.split(" | ")[0][2:] for line in last.splitlines() if line[:3] not in ("", "| *")]
    assert names.index("network: Dale conv") < names.index("run")  # rows of a kind


def instead(monkeypatch, check, code: str) -> None:
    """A process that ends as a row might."""
    monkeypatch.setattr(check, "COMMAND", [sys.executable, "-c", code])


ENDLESS = """
import faulthandler, signal, subprocess, sys, time
faulthandler.register(signal.SIGUSR1)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
print(child.pid, file=open({0!r}, "w"), flush=True)
def a_kernel_hangs():
    time.sleep(60)
a_kernel_hangs()
"""


def test_what_a_row_started_ends_with_it_and_it_says_where_it_was(check, monkeypatch, tmp_path):
    started = tmp_path / "pid"
    instead(monkeypatch, check, ENDLESS.format(str(started)))
    verdict, found, said = check._apart("run", 2.0)
    assert (verdict, found) == ("FAIL", "not done after 2 s")
    assert "in a_kernel_hangs" in said
    assert ended(int(started.read_text()))


def ended(process: int) -> bool:
    """Within a moment; whoever started it need not have asked how."""
    status = Path(f"/proc/{process}/status")
    for _ in range(200):
        if not status.exists() or "\nState:\tZ" in status.read_text():
            return True
        time.sleep(0.05)
    return False


def test_an_interrupt_ends_the_row_and_leaves_the_page(check, monkeypatch, tmp_path):
    started = tmp_path / "pid"
    code = "import sys; sys.argv[-1] == 'card' and (print('[\"-\", \"a GPU\"]'), sys.exit())"
    instead(monkeypatch, check, code + ENDLESS.format(str(started)))
    communicate = subprocess.Popen.communicate

    def stopped(row, *given, **kwargs):
        if row.args[-1] != "card":
            while not started.exists() or not started.read_text():
                time.sleep(0.05)
            signal.raise_signal(signal.SIGTERM)
        return communicate(row, *given, **kwargs)

    monkeypatch.setattr(subprocess.Popen, "communicate", stopped)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit, match=r"stopped; .* has what was found until then"):
            check.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended(int(started.read_text()))
    assert "| card | - | a GPU |" in (tmp_path / "page.md").read_text()


def test_without_a_gpu_it_says_so_and_stops(check, tmp_path):
    with pytest.raises(SystemExit, match="gpu_check: PyTorch finds no CUDA device here"):
        check.main()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--minutes", "0"], "--minutes: 0 is not more than 0"),
        (["--minutes", "ten"], "--minutes: invalid minutes value: 'ten'"),
        (["--out", "nowhere/page.md"], "--out nowhere/page.md: there is no folder nowhere"),
    ],
)
def test_what_it_cannot_do_is_a_line(check, monkeypatch, capsys, given, why):
    monkeypatch.setattr("sys.argv", ["gpu_check.py", *given])
    with pytest.raises(SystemExit):
        check.main()
    assert why in capsys.readouterr().err


def bare(lacking: set[str], *arguments: str) -> subprocess.CompletedProcess:
    """gpu_check where these packages, and all that torch does not need, are missing."""
    code = f"""
import sys
class Lacking:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {lacking!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Lacking)
import importlib.util, runpy
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *given: None if name in {lacking!r} else real(name, *given)
sys.argv = ["gpu_check.py", *{arguments!r}]
runpy.run_path({str(SCRIPTS / "gpu_check.py")!r}, run_name="__main__")
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


FAR = {
    "h5py", "hydra", "llvmlite", "matplotlib", "numba", "omegaconf", "optuna", "pandas", "pooch",
    "rich", "scipy", "tonic", "torchvision", "wandb", "yaml",
}  # fmt: skip


def test_torch_and_numpy_are_enough():
    ended = bare(FAR, "--row", "card")
    assert ended.returncode == 0, ended.stderr
    assert "no CUDA device here" in ended.stdout


def test_what_is_missing_is_said_first():
    ended = bare({"numpy"})
    assert ended.returncode == 1
    assert ended.stderr.strip() == "gpu_check needs numpy: pip install numpy"
