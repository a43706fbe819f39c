"""What fdi keeps is its user's alone, and in one place."""

from __future__ import annotations

import os

import pytest

from fdi.config.cache import KERNELS, TABLES, cache_folder, make_private


def test_it_is_where_the_user_says_else_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FDI_CACHE", str(tmp_path / "mine"))
    assert cache_folder(TABLES) == tmp_path / "mine" / "data"
    monkeypatch.delenv("FDI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder(KERNELS) == tmp_path / "user" / "fdi" / "kernels"
    monkeypatch.setenv("FDI_CACHE", "/dev/null")
    with pytest.raises(OSError, match="set FDI_CACHE to a folder of yours"):
        cache_folder(TABLES)


def test_it_is_of_its_user_alone(tmp_path, monkeypatch):
    folder = tmp_path / "fdi-1"
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)  # nobody else could write
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(OSError, match="nobody else can write to"):
        make_private(folder)
    folder.chmod(0o700)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OSError, match="nobody else can write to"):
        make_private(tmp_path / "link")
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(OSError, match="must be a folder of yours"):
        make_private(folder)
