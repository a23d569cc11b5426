"""One network of three signers for all tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from chain_gateway.network import ChainNetwork
from tests.support.geth_network import run_network

pytest.register_assert_rewrite("tests.registry_suite.suite")


@pytest.fixture(scope="session")
def chain_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainNetwork]:
    """Three signers, a block each second. Whoever stops nodes or changes signers makes a network of their own."""
    with run_network(tmp_path_factory.mktemp("chain")) as network:
        yield network
