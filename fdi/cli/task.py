"""What Hydra calls for each cell, in a process of its launcher's choice. The import of fdi.config
gives that process the resolvers.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fdi.config import prepare, run_directory
from fdi.track.files import RESULT, atomic
from fdi.track.lock import Busy
from fdi.track.state import progress

FAILED, REFUSED = 1, 2


def run_cell(config: DictConfig) -> int:
    """Run one cell, unless it is done; a failure is one line here, its traceback is in run.log.
    Returns the exit code.

    Beside other cells, what it prints is in its own output.log, and here is one line when it ends.
    """
    config = prepare(config)
    directory = run_directory(config)
    with atomic(directory / ".hydra" / "config.yaml") as path:
        OmegaConf.save(config, path)  # Hydra's own copy has its interpolations unresolved
    if (directory / RESULT).exists():
        print(f"{directory}: done before")
        return 0
    if HydraConfig.get().launcher._target_.endswith(".BasicLauncher"):
        return _run(config, directory)
    with (directory / "output.log").open("a") as file, redirect_stdout(file):
        code = _run(config, directory)
    if code == 0:
        print(f"{progress(directory)['state']}  {directory}", flush=True)
    return code


def _run(config: DictConfig, directory: Path) -> int:
    from fdi.run import run

    try:
        run(config, directory)
    except ValueError as error:
        return complain(str(error), REFUSED)
    except Busy as error:
        return complain(str(error), FAILED)
    except Exception as error:
        return complain(
            f"{type(error).__name__}: {error} (traceback in {directory / 'run.log'})", FAILED
        )
    return 0


def complain(line: str, code: int) -> int:
    """Print one line on stderr; returns `code`."""
    print(f"fdi-run: {' '.join(line.split())}", file=sys.stderr)
    return code
