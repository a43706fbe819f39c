"""All that fdi takes of Hydra where Hydra has no public door; the upper bound of hydra-core in
pyproject.toml stands for this file.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import get_args_parser
from hydra.plugins.config_source import ConfigResult

from fdi.track.files import refuse_bomb


def command_line_parser() -> ArgumentParser:
    """Hydra's own flags: `hydra.main` parses and exits by itself, before fdi could compose cells or
    say an error in one line.
    """
    return get_args_parser()


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
