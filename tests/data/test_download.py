"""Getting files: downloaded, placed by hand, damaged, impossible; nothing half-written."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from fdi.data.download import (
    PIP,
    SOURCES,
    Archive,
    Listed,
    ensure,
    hex_digest,
    present,
)
from fdi.data.inputs import DataError


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch) -> Iterator[str]:
    """Of a server on this machine that serves `tmp_path`."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # before it is tried again
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=tmp_path)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(tmp_path: Path, monkeypatch, address: str) -> Path:
    """The folder with the archives of data set "toy", a .gz, a .zip and a .tar.gz."""
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "a.txt").write_text("spikes")
    (folder / "a.gz").write_bytes(gzip.compress(b"spikes"))
    with zipfile.ZipFile(folder / "b.zip", "w") as file:
        file.write(folder / "a.txt", "Train/1/x.bin")
    with tarfile.open(folder / "c.tar.gz", "w:gz") as file:
        file.add(folder / "a.txt", "gestures/y.npy")
    contents = {"a.gz": "a", "b.zip": "sub/Train", "c.tar.gz": "gestures"}
    archives = tuple(
        Archive(
            str(Path(content).parent / name),
            content,
            f"{address}/remote/{name}",
            hex_digest(folder / name),
        )
        for name, content in contents.items()
    )
    monkeypatch.setitem(SOURCES, "toy", Listed("2", "-", "-", "-", archives))
    return folder


def _files(folder: Path) -> list[str]:
    return (
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        if folder.exists()
        else []
    )


ALL = ["a", "gestures/y.npy", "sub/Train/1/x.bin"]


def test_downloads_and_unpacks_once(remote: Path, tmp_path: Path):
    root = tmp_path / "here"
    assert not present("toy", root)
    assert ensure("toy", root) == root
    assert _files(root) == ALL
    assert present("toy", root)
    for path in remote.iterdir():
        path.unlink()
    assert ensure("toy", root) == root


def test_archives_placed_by_hand_are_unpacked(remote: Path, tmp_path: Path):
    root = tmp_path / "here"
    (root / "sub").mkdir(parents=True)
    (remote / "a.gz").rename(root / "a.gz")
    (remote / "b.zip").rename(root / "sub/b.zip")
    ensure("toy", root)
    assert _files(root) == sorted([*ALL, "a.gz", "sub/b.zip"])


def test_offline_says_what_where_from_where_to_and_md5(remote: Path, tmp_path: Path):
    root = tmp_path / "here"
    (remote / "a.gz").unlink()
    with pytest.raises(
        DataError,
        match=r"toy: a is missing and cannot be downloaded \(404 .*\); nothing was kept",
    ) as error:
        ensure("toy", root)
    message = str(error.value)
    (archive, *_) = SOURCES["toy"].archives
    for part in (archive.url, str(root / "a.gz"), archive.sum, "dataset.root="):
        assert part in message
    assert "\n" not in message
    assert _files(root) == []


def test_no_server_is_one_short_reason(monkeypatch, tmp_path: Path, remote: Path):
    nobody = Archive("a.gz", "a", "http://127.0.0.1:9/a.gz", "0" * 32)
    monkeypatch.setitem(SOURCES, "toy", Listed("2", "-", "-", "-", (nobody,)))
    with pytest.raises(DataError, match=r"downloaded \(\[Errno \d+\] [\w ]+\);"):
        ensure("toy", tmp_path / "here")


def test_a_download_with_another_md5_is_thrown_away(remote: Path, tmp_path: Path):
    root = tmp_path / "here"
    (remote / "b.zip").write_bytes(b"a page of an error")
    found = hashlib.md5(b"a page of an error").hexdigest()
    with pytest.raises(DataError, match=rf"hash .*b\.zip.* {found}\); nothing was kept"):
        ensure("toy", root)
    assert _files(root) == ["a"]
    assert list(root.glob("**/.partial*")) == []


def test_a_failed_download_is_tried_again(remote: Path, tmp_path: Path, monkeypatch):
    served: list[str] = []

    def get(handler: Silent) -> None:
        served.append(handler.path)
        if len(served) == 1:
            handler.send_error(503)
        else:
            SimpleHTTPRequestHandler.do_GET(handler)

    monkeypatch.setattr(Silent, "do_GET", get, raising=False)
    ensure("toy", tmp_path / "here")
    assert served[:2] == ["/remote/a.gz"] * 2
    assert _files(tmp_path / "here") == ALL


def test_a_connection_that_breaks_off_leaves_nothing(remote: Path, tmp_path: Path, monkeypatch):
    def get(handler: Silent) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"spikes")

    monkeypatch.setattr(Silent, "do_GET", get, raising=False)
    with pytest.raises(DataError, match=r"IncompleteRead.*; nothing was kept"):
        ensure("toy", tmp_path / "here")
    assert _files(tmp_path / "here") == []


def test_an_empty_answer_is_called_empty(remote: Path, tmp_path: Path, monkeypatch):
    def get(handler: Silent) -> None:  # what a web firewall sends to a program
        handler.send_response(202)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    monkeypatch.setattr(Silent, "do_GET", get, raising=False)
    with pytest.raises(
        DataError, match=r"the answer was empty, .*; nothing was kept; get"
    ) as error:
        ensure("toy", tmp_path / "here")
    assert "\n" not in str(error.value)
    assert str(tmp_path / "here" / "a.gz") in str(error.value)
    assert _files(tmp_path / "here") == []


def test_an_archive_that_holds_something_else(remote: Path, tmp_path: Path, monkeypatch):
    source = SOURCES["toy"].archives[1]
    monkeypatch.setitem(
        SOURCES,
        "toy",
        Listed("2", "-", "-", "-", (Archive("b.zip", "Test", source.url, source.sum),)),
    )
    with pytest.raises(DataError, match="holds no Test"):
        ensure("toy", tmp_path / "here")
    assert _files(tmp_path / "here") == []


def test_a_folder_that_cannot_be_written(remote: Path, tmp_path: Path):
    (tmp_path / "here").write_text("a file")
    with pytest.raises(DataError, match=r"cannot be written .*; set dataset\.root="):
        ensure("toy", tmp_path / "here")


def test_every_source_is_complete():
    for name, source in SOURCES.items():
        for archive in source.archives:
            assert archive.url.startswith(("http", PIP)), name
            assert len(archive.sum) in (32, 64), name
            assert archive.content, name
            assert "//figshare.com/" not in archive.url, "answers programs with nothing"
