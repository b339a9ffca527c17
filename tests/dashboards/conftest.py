"""One rig for the whole run: half a minute of load, then questions."""

import os

import pytest
from rig import Rig

SECONDS = float(os.environ.get("RIG_SECONDS", "25"))


@pytest.fixture(scope="session")
def rig():
    with Rig(SECONDS) as running:
        yield running
