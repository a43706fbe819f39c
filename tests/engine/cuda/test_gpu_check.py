"""scripts/gpu_check.py from its first line to its page, in Triton's interpreter on a CPU and on
tiny workloads; what a faulty kernel makes of it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import faulty
import needs
import pretend
import pytest
import torch

SCRIPTS = Path(__file__).parents[3] / "scripts"
FAULTY = Path(__file__).with_name("faulty.py")
pytestmark = needs.kernels


@pytest.fixture
def gpu(monkeypatch, small_trial):
    """The rows, tiny and on the CPU."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
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
    given = dict(CHECKED=2, REPEATED=2, WARM=0, ROUNDS=1, EPOCHS=1, TRAINED=3, ELEMENTS=2**12)
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
        kind, _, work = name.partition(": ")
        if kind == "network":
            verdict, found = gpu.row(name)
            assert verdict == "PASS", found
            assert ("in plain torch: no kernel" in found) == (
                work in ("conv recurrent", "Dale conv")
            )


@pytest.mark.parametrize("kind", ["events", "counted", "frames", "constant"])
def test_kept_and_shuffled_data_are_compared_with_sent_ones(gpu, kind):
    assert gpu.row(f"kept: {kind}")[0] == "PASS"


def identity(find):
    """An operator that takes the samples in their order, whatever the list says."""

    def ordered(tables, samples, *given):
        return find(tables, samples if samples is None else torch.arange(len(samples)), *given)

    return ordered


@pytest.mark.parametrize("operator", ["by_events", "gradient"])
def test_a_kernel_that_ignores_the_samples_fails(gpu, operator, monkeypatch):
    from fdi.engine.cuda.kernels import launch_sparse

    monkeypatch.setattr(launch_sparse, operator, identity(getattr(launch_sparse, operator)))
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


@pytest.mark.parametrize(
    ("name", "operator"),
    [("spikes", "by_spikes"), pytest.param("potentials", "forward", marks=pytest.mark.slow)],
)
def test_large_tensors_are_compared_with_parts(gpu, name, operator, monkeypatch):
    from fdi.engine.cuda.kernels import launch, launch_sparse

    monkeypatch.setattr(gpu, "ELEMENTS", 2**17 + 2**15)
    large = dict(ROWS=2**8, SOURCES=2**11, LOOKED=2**11, TARGETS=8)
    for name_of, value in large.items():
        monkeypatch.setattr(launch_sparse, name_of, value)
    for each in (launch, launch_sparse):
        monkeypatch.setattr(each, "BLOCK", 2**12)
    assert gpu.row(f"large: {name}")[0] == "PASS"
    module = launch if name == "potentials" else launch_sparse
    right = getattr(module, operator)
    calls: list[torch.Tensor] = []

    def wraps(*given):  # in the whole tensor, which comes first
        found = right(*given)
        calls.append((found if isinstance(found, torch.Tensor) else found[2]).add_(not calls))
        return found

    monkeypatch.setattr(module, operator, wraps)
    verdict, found = gpu.row(f"large: {name}")
    assert (verdict, "not as in 2 parts" in found) == ("FAIL", True)


def test_costs_stand_beside_their_bytes(gpu):
    verdict, found = gpu.row("cost: dense")
    assert (verdict, "MB by count are" in found) == ("-", True)
    verdict, found = gpu.row("library: none, dense")
    assert (verdict, found) == ("-", "KeyError: 'none'")


@pytest.mark.slow
def test_graphs_are_timed_and_compared(gpu, monkeypatch):
    from test_graphs import pretended_graphs

    pretended_graphs(monkeypatch)
    monkeypatch.setattr(gpu, "DEVICE", pretend.device())
    with pretend.Pretend():
        verdict, found = gpu.row("graph: dense")
    assert (verdict, "ms a step with graphs" in found) == ("PASS", True)


def test_a_wrong_network_fails(gpu, monkeypatch):
    monkeypatch.setattr(*faulty.place("no_spike"), faulty.no_spike)
    verdict, found = gpu.row("network: dense")
    assert verdict == "FAIL"
    assert "spikes differ" in found


FOUND = {
    "none": ("PASS", "2 kinds of layers"),
    "no_spike": ("FAIL", "spikes were not those of the CPU"),
    "illegal_access": ("FAIL", "killed by SIGSEGV"),
    "cuda_error": ("FAIL", "RuntimeError: CUDA error: an illegal memory access was"),
    "out_of_memory": ("FAIL", "OutOfMemoryError: CUDA out of memory"),
}


@pytest.mark.slow  # five processes: two minutes
def test_the_page_says_what_each_fault_does(check, monkeypatch, tmp_path, capsys):
    from benchmark import gpu

    command = [sys.executable, str(FAULTY), "gpu_check", "--row"]
    monkeypatch.setattr(check, "COMMAND", command)
    rows = {f"kernel: {fault}": found for fault, found in FOUND.items()}
    apart = check._apart

    def faulty(name, seconds):
        return apart(f"{name.partition(': ')[2]} in kernel: 1 units", seconds)

    monkeypatch.setattr(check, "_apart", faulty)
    monkeypatch.setattr(gpu, "rows", lambda: list(rows))
    with pytest.raises(SystemExit) as ended:
        check.main()
    page = (tmp_path / "page.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| kernel:")]
    assert len(lines) == len(rows)
    for line, (row, (verdict, words)) in zip(lines, rows.items()):
        assert line.startswith(f"| {row} | {verdict} | ")
        assert words in line
    assert page.count("\n## kernel: ") == 4
    assert "Compile with `TORCH_USE_CUDA_DSA`" in page  # what it said, to be pasted
    assert "python scripts/gpu_check.py --row 'kernel: cuda_error'" in page
    assert ended.value.code == 1
    assert "4 failed" in capsys.readouterr().out


def test_rows_stand_on_the_page_as_they_come_until_time_is_out(check, monkeypatch, tmp_path):
    now, pages, page = [0.0], [], tmp_path / "page.md"

    def apart(name, seconds):
        pages.append(page.read_text() if page.exists() else "")
        now[0] += min(seconds, 40.0)
        return ("FAIL" if name == "trial: layers" else "PASS", "found", "said")

    monkeypatch.setattr(check, "_apart", apart)
    monkeypatch.setattr(check.time, "monotonic", lambda: now[0])
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert ended.value.code == 1
    assert now[0] == pytest.approx(480.0)  # 8 of 10 minutes
    assert "| card | PASS | found |" in pages[1]
    assert "## trial: layers" in pages[4]
    last = page.read_text()
    assert "| library: snntorch, dense | PASS | found |" in last  # one of each kind comes first
    assert "| library: snntorch, deep | - | not reached in this time |" in last
    kinds = [line[4:-8] for line in last.splitlines() if line.startswith("| **")]
    assert kinds == list(check.DECIDES.values())
    names = [line.split(" | ")[0][2:] for line in last.splitlines() if line[:3] not in ("", "| *")]
    assert names.index("kernel: 256 units") < names.index("network: dense")  # rows of a kind


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


def test_where_no_kernel_runs_the_card_fails(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "nowhere", lambda device: "the kernels need triton 3.5, not 3.2")
    assert gpu.row("card") == ("FAIL", "the kernels need triton 3.5, not 3.2")


def test_a_card_for_one_process_is_no_fault_of_a_kernel(gpu, monkeypatch):
    monkeypatch.setattr(gpu.choice, "doubt", lambda case, device: gpu.choice.EXCLUSIVE)
    verdict, found = gpu.row("trial: layers")
    assert (verdict, "a run tries its kernels before" in found) == ("-", True)


def bare(lacking: set[str], *arguments: str) -> subprocess.CompletedProcess:
    """gpu_check where these packages, and all that torch and triton do not need, are missing."""
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


def test_torch_triton_and_numpy_are_enough():
    ended = bare(FAR, "--row", "card")
    assert ended.returncode == 0, ended.stderr
    assert "no CUDA device here" in ended.stdout


def test_what_is_missing_is_said_first():
    ended = bare({"numpy", "triton"})
    assert ended.returncode == 1
    assert ended.stderr.strip() == "gpu_check needs numpy, triton: pip install numpy triton"
