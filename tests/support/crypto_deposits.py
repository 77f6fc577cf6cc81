"""The crypto rail on a chain inside the process: the fixtures of the tests of deposits."""

import pytest

from tests.support.crypto_chain import InProcessChain
from tests.support.crypto_rig import a_rig


@pytest.fixture
def service(crypto_database):
    return crypto_database


@pytest.fixture(scope="module")
def chain():
    return InProcessChain()


@pytest.fixture
async def rig(service, chain):
    async with a_rig(service, chain, start_block=chain.head() + 1) as made:
        yield made
