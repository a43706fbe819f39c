from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import torch

from fdi.train.optimizers import SMORMS3


def test_smorms3_equals_the_authors_library(shared):
    expected = json.loads((shared / "reference" / "weights_and_optimizer.json").read_text())[
        "smorms3"
    ]
    first, *after = torch.tensor(expected["parameters"], dtype=torch.float64)
    p = torch.nn.Parameter(first.clone())
    optimizer = SMORMS3([p], lr=expected["lr"], eps=expected["eps"])
    for gradient, moved in zip(
        torch.tensor(expected["gradients"], dtype=torch.float64), after, strict=True
    ):
        p.grad = gradient
        optimizer.step()
        np.testing.assert_allclose(p.detach().numpy(), moved.numpy(), rtol=0, atol=1e-10)


def test_a_run_by_default_leaves_torchs_compiler_alone():
    code = (
        "import sys, torch; from fdi.train.optimizers import SMORMS3\n"
        "from fdi.engine.exact import exact; exact()\n"
        "assert torch.are_deterministic_algorithms_enabled()\n"
        "made = SMORMS3([torch.ones(1, requires_grad=True)])\n"
        "made.load_state_dict(made.state_dict()); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
