"""A disk that forgets at a power cut what was not synced: contents of files, names in folders."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path


class Disk:
    """What of `folder` would be on disk after a cut at the call number `moment` of fsync or
    replace, or at the end; written to `target`.

    What is not synced is drawn from `seed`: the old or the new name, the old content, the new one,
    or a part of it.
    """

    def __init__(self, folder: Path, target: str, moment: int, seed: int) -> None:
        self.folder, self.target, self.moment = folder, Path(target), moment
        self.rng = random.Random(seed)
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self.held: list[int] = []  # open files keep their inode number
        for path in (folder, *folder.rglob("*")):  # all that is there lies on the disk
            file = os.open(path, os.O_RDONLY)
            self.remember(file)
            os.close(file)

    def install(self) -> None:
        replace = os.replace

        def forgetful_replace(source, target) -> None:
            self.tick()
            replace(source, target)

        vars(os).update(replace=forgetful_replace, fsync=self.fsync)

    def fsync(self, file: int) -> None:
        self.tick()
        self.remember(file)

    def remember(self, file: int) -> None:
        self.held.append(os.dup(file))
        about = os.fstat(file)
        if stat.S_ISDIR(about.st_mode):
            self.names[about.st_ino] = _listing(f"/proc/self/fd/{file}")
        else:
            self.contents[about.st_ino] = Path(f"/proc/self/fd/{file}").read_bytes()

    def tick(self) -> None:
        self.moment -= 1
        if self.moment == 0:
            self.cut()
            os._exit(99)

    def cut(self) -> None:
        self._write(self.folder, os.stat(self.folder).st_ino, self.target)

    def _write(self, now: Path, inode: int, target: Path) -> None:
        """What is left of the folder `inode`, which is at `now`."""
        target.mkdir(parents=True, exist_ok=True)
        old, new = self.names.get(inode, {}), _listing(now)
        for name in sorted(old.keys() | new.keys()):
            left = old.get(name) if self.rng.random() < 0.5 else new.get(name)
            if left is None:
                continue
            path = now / name
            current = path if new.get(name) == left else None
            if current and current.is_dir():
                self._write(current, left, target / name)
            elif left in self.contents or current:
                (target / name).write_bytes(self._content(left, current))

    def _content(self, inode: int, current: Path | None) -> bytes:
        old = self.contents.get(inode, b"")
        new = current.read_bytes() if current else old
        part = new[: self.rng.randrange(len(new) + 1)]
        return old if old == new else self.rng.choice([old, new, part])


def _listing(folder: Path | str) -> dict[str, int]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.inode() for entry in entries}
