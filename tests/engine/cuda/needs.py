"""What this machine may lack."""

from __future__ import annotations

import pytest

from fdi.engine.cuda import fused

kernels = pytest.mark.skipif(fused.lacking() is not None, reason=str(fused.lacking()))
