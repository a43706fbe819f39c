"""The theory says where it does not hold for a neuron."""

from __future__ import annotations

import pytest

from fdi.init.verdict import warning
from fdi.snn.neuron import adaptive_threshold, adlif, alif, lif


@pytest.mark.parametrize(
    ("neuron", "rate", "word"),
    [
        (lif(), 200.0, None),
        (lif(reset="subtract"), 5.0, None),
        (lif(reset="subtract"), 40.0, "subtractive reset"),
        (alif(a=0.1), 10.0, None),
        (alif(a=0.5), 10.0, "adaptation"),
        (adlif(a=1.0, b=0.0), 1.0, "adaptation"),
        (adaptive_threshold(reset="zero"), 1.0, None),
        (adaptive_threshold(reset="zero"), 10.0, "the rise of the threshold"),
    ],
)
def test_a_sentence_says_what_the_theory_leaves_out(neuron, rate, word):
    said = warning("h1", neuron, rate, 2e-3)
    assert (said is None) if word is None else (word in str(said) and "h1" in str(said))
