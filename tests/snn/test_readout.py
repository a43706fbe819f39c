"""The readout has the time constants and the start that a configuration gives it."""

from __future__ import annotations

import pytest

from fdi.snn.models import conv, dale, dale_conv, dense

SPEC = ((1, 6, 6), 3, 1500, 2e-3)  # input, classes, steps, dt


@pytest.mark.parametrize("model", [dense, conv, dale, dale_conv])
def test_the_readout_has_what_it_is_given(model):
    given = {"readout_tau_mem": 0.03, "readout_tau_syn": 0.007, "readout_u_init": -0.5}
    readout = model(*SPEC, **given).readout.neuron
    assert (readout.tau_mem, readout.tau_syn, readout.u_init) == (0.03, (0.007,), -0.5)
    assert not readout.spiking
    assert model(*SPEC).readout.neuron.tau_mem == pytest.approx(3.0), "it lasts a trial"
