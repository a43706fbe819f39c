"""The Hydra configuration groups of fdi; this folder is the package `fdi.conf`. Hydra imports it,
and with it the resolvers of its files.
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

OmegaConf.register_new_resolver("folder_name", lambda path: Path(path).name, replace=True)


def _file_name(*, _parent_: DictConfig) -> str:
    """That of the key `file` beside it, without its ending and _TRAIN."""
    file = "" if OmegaConf.is_missing(_parent_, "file") else str(_parent_.file)
    return Path(file).stem.removesuffix("_TRAIN")


OmegaConf.register_new_resolver("file_name", _file_name, replace=True)
