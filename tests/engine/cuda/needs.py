"""What this machine may lack, and kernels of another source."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from fdi.engine.cuda import fused

kernels = pytest.mark.skipif(fused.lacking() is not None, reason=str(fused.lacking()))


def loaded(file: Path) -> ModuleType:
    spec = util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
