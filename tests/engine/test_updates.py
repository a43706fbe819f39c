"""What is done with gradients in one pass over their memory; for SMORMS3 see tests/train."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.linalg import vector_norm

from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e30])
def test_norms_of_both_engines_have_the_same_bits(size):
    """They are in double: in float32 the square of 1e-25 is 0, and that of 1e30 none."""
    rng = np.random.default_rng(0)
    shapes = [*((n,) for n in range(1, 70)), (128, 20), (10, 128), (4, 3, 3, 3)]
    drawn = [size * rng.standard_normal(shape) * np.exp(rng.normal()) for shape in shapes]
    for dtype in (torch.float32, torch.float64):
        gradients = [torch.from_numpy(np.asarray(each)).to(dtype) for each in drawn]
        found = CpuEngine(1).norms(gradients)
        assert found == ReferenceEngine().norms(gradients)
        exact = [np.sqrt(np.square(each.double().numpy()).sum()) for each in gradients]
        np.testing.assert_allclose(found, exact, rtol=1e-14)
    turned = torch.randn(30, 20).T
    assert CpuEngine(1).norms([turned]) == [float(vector_norm(turned, dtype=torch.float64))]
    assert CpuEngine(1).norms([]) == []
