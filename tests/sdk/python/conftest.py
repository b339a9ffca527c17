"""One simulator and one gateway for the whole run; a second gateway that wants a key."""

import pytest
from gateway import PROVIDERS, Gateway, Simulator

GATEWAY_KEY = "pinhole-judge-key-0123456789"


@pytest.fixture(scope="session")
def sim():
    program = Simulator()
    yield program
    program.stop()


@pytest.fixture(scope="session")
def start(sim):
    """Starts further gateways; all end with the run."""
    started = []

    def start_gateway(*args, **kwargs):
        started.append(Gateway(sim, *args, **kwargs))
        return started[-1]

    yield start_gateway
    for program in started:
        program.stop()


@pytest.fixture(scope="session")
def gateway(start):
    return start()


@pytest.fixture(scope="session")
def locked(start):
    """A gateway that takes one key only."""
    return start(PROVIDERS, environment={"PINHOLE_API_KEY": GATEWAY_KEY})


@pytest.fixture(scope="session")
def gateway_key():
    return GATEWAY_KEY
