"""All that fdi takes of Hydra where Hydra has no public door; the upper bound of hydra-core in
pyproject.toml stands for this file.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import HydraContext, RunMode

from fdi.track.files import refuse_bomb

if TYPE_CHECKING:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl


def command_line_parser() -> ArgumentParser:
    """Hydra's own flags: `hydra.main` parses and exits by itself, before fdi could compose cells or
    say an error in one line. Python 3.14 reads each help text at once, and one of Hydra's is none
    before it is shown.
    """
    with _unread_help():
        return get_args_parser()


@contextmanager
def _unread_help() -> Iterator[None]:
    check = getattr(ArgumentParser, "_check_help", None)
    if check is None:  # an older Python
        yield
        return
    parser: Any = ArgumentParser
    parser._check_help = lambda *_: None
    try:
        yield
    finally:
        parser._check_help = check


def refuse_several_values(loader: ConfigLoader, values: list[Override]) -> None:
    """Raises what Hydra raises for a value that is a sweep, in a single cell."""
    cast("ConfigLoaderImpl", loader).validate_sweep_overrides_legal(
        values, run_mode=RunMode.RUN, from_shell=False
    )


def context(loader: Any) -> HydraContext:
    """What launchers and sweepers are given; `loader` composes cells as Hydra's own does."""
    from hydra.experimental.callback import Callback

    callbacks: Any = Callback()
    return HydraContext(loader, callbacks)


class FileConfigSource(file_config_source.FileConfigSource):
    """Reads the user's own options, unless they are no files, or stand for more than memory holds:
    Hydra has no hook before it parses a file.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path) / self._normalize_file_name(config_path)
        if path.exists():
            refuse_bomb(path)
        return super().load_config(config_path)


def read_files_safely() -> None:
    """Let `FileConfigSource` read file://; `Plugins.register` replaces no source that is there."""
    SourcesRegistry.instance().types["file"] = FileConfigSource
