"""A real network of geth nodes for a test: in a folder of its own, on free loopback ports, ended with the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain_gateway.network import ChainNetwork, NewNetwork
from chain_gateway.network.errors import GethMissing
from chain_gateway.network.geth import find_geth


def geth() -> Path:
    """The geth to test with. If it is not there, the test fails."""
    try:
        return find_geth()
    except GethMissing as missing:
        pytest.fail(f"{missing}. {missing.remedy}")


@contextmanager
def run_network(directory: Path, wanted: NewNetwork | None = None) -> Iterator[ChainNetwork]:
    """Make a network, wait until it is well, and stop it in the end.

    ``network.layout.nodes[0].url`` is a JSON-RPC, and ``network.layout.relayer_key(0)`` the key file of an account that
    has ether. ``network.stop(["node-2"])`` and ``network.start(geth(), names=["node-2"])`` do what their names say.
    ``ask_node(network.layout.folder(card).socket, "admin_removePeer", …)`` reaches what geth offers on its Unix socket
    alone.
    """
    network = ChainNetwork.create(directory, wanted or NewNetwork(http_port=0, p2p_port=0))
    try:
        network.start(geth())
        network.wait_until_well()
        yield network
    finally:
        network.stop()
