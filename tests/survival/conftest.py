"""Commands in forked processes that can be killed."""

from __future__ import annotations

import pytest
from forks import Zygote


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.close()
