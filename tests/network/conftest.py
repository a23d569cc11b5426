"""One network of three signers for all tests that leave it as they found it, in however many processes they run."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from chain_gateway.network import ChainNetwork, NewNetwork
from chain_gateway.network.layout import is_network
from tests.support.geth_network import geth

pytest.register_assert_rewrite("tests.registry_suite.suite", "tests.support.chain_master")

PROCESSES_MAX = 8
FOLDER_VARIABLE = "VGROUP_TEST_NETWORK"


def pytest_configure(config: pytest.Config) -> None:
    """The first process names the folder; those that it starts for the tests inherit the name."""
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="vgroup-chain-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The first process is also the last: it ends what any of them started."""
    if hasattr(config, "workerinput"):
        return
    folder = Path(os.environ[FOLDER_VARIABLE])
    if is_network(folder / "chain"):
        ChainNetwork.open(folder / "chain").stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def chain_network() -> ChainNetwork:
    """Three signers, a block each second. Whoever stops nodes or changes signers makes a network of their own."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_network(folder / "chain"):
            return ChainNetwork.open(folder / "chain")
        network = ChainNetwork.create(folder / "chain", NewNetwork(http_port=0, p2p_port=0, relayers=PROCESSES_MAX))
        network.start(geth())
        network.wait_until_well()
        return network


@pytest.fixture(scope="session")
def relayer_key(chain_network: ChainNetwork, worker_id: str) -> Path:
    """Key file of an account that no other process of this test run sends from."""
    return chain_network.layout.relayer_key(0 if worker_id == "master" else int(worker_id.removeprefix("gw")))
