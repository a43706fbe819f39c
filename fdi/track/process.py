"""Processes of this machine: which are alive, and one that ends with another."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from fdi.track.interrupt import INTERRUPTED


def alive(pid: int) -> bool:
    """Whether there is such a process; one that is dead and not yet collected is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def end_with(other: int) -> None:
    """End this process, as a kill would, at most a second after the process `other`."""

    def watch() -> None:
        while alive(other):
            time.sleep(1)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, name=f"end with {other}", daemon=True).start()
