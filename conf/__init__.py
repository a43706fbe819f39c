"""The Hydra configuration groups of fdi; this folder is the package `fdi.conf`. Hydra imports it,
and with it the resolver of its files.
"""

from pathlib import Path

from omegaconf import OmegaConf

OmegaConf.register_new_resolver("folder_name", lambda path: Path(path).name, replace=True)
