"""A network is a module that torch exports; another runtime computes the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from compared import weighted

from fdi.snn.models import conv, dale, dense
from fdi.snn.neuron import ALIF, Neuron

FORM = (4, 30, 2e-3)
NETWORKS = {
    "dense": lambda: dense((30,), *FORM, Neuron(), hidden=[20, 20]),
    "recurrent": lambda: dense((30,), *FORM, ALIF(), hidden=20, recurrent=True),
    "dale": lambda: dale((30,), *FORM, Neuron(), excitatory=20, inhibitory=6),
    "conv": lambda: conv((2, 9, 8), *FORM, Neuron(), filters=[3, 4], kernel=3, pool=2),
}


def network(kind: str) -> tuple[Any, torch.Tensor]:
    net = weighted(NETWORKS[kind](), 6).eval()
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(30, 5, *net.input_shape, generator=generator) < 0.2).float()
    assert min(n.sum() for n in net.activity(x).counts.values()) > 10
    return net, x


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[pytest.mark.slow] * (k != "dense")) for k in NETWORKS]
)
def test_torch_exports_every_kind_of_network(kind):
    net, x = network(kind)
    found = torch.export.export(net, (x,), strict=False).module()(x)
    torch.testing.assert_close(found, net(x), atol=1e-6, rtol=0)


@pytest.mark.slow  # it needs packages that fdi does not ask for
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.filterwarnings("ignore")
def test_onnx_computes_the_same(kind, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    net, x = network(kind)
    torch.onnx.export(net, (x,), tmp_path / "network.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), net(x).detach(), atol=1e-5, rtol=0)
