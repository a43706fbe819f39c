"""The Hydra configuration groups of fdi; this folder is the package `fdi.conf`. Hydra imports it,
and with it the resolvers of its files.
"""

from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

OmegaConf.register_new_resolver("folder_name", lambda path: Path(path).name, replace=True)


def _file_name(*, _parent_: DictConfig) -> str:
    """That of the key `file` beside it, without its ending and _TRAIN."""
    file = "" if OmegaConf.is_missing(_parent_, "file") else str(_parent_.file)
    return Path(file).stem.removesuffix("_TRAIN")


OmegaConf.register_new_resolver("file_name", _file_name, replace=True)


def _weights_checksum(*, _parent_: DictConfig) -> str:
    """That of the file with the weights of the key `run` beside it; the run says where there is
    none.
    """
    from fdi.config import Mistake
    from fdi.init.warm import checksum_of  # only where it is asked for

    with suppress(Mistake):
        return "" if OmegaConf.is_missing(_parent_, "run") else checksum_of(str(_parent_.run))
    return ""


OmegaConf.register_new_resolver("weights_checksum", _weights_checksum, replace=True)
