"""``vgroup chain`` on real nodes: started, stopped, killed, grown."""

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from chain_gateway.cli import app
from chain_gateway.network import ChainNetwork
from chain_gateway.network.errors import NodeFailed, PortInUse
from chain_gateway.network.ipc import ask_node
from chain_gateway.network.processes import find_process
from chain_gateway.network.signers import fetch_signers
from tests.support.geth_network import geth, run_network

pytestmark = [pytest.mark.geth, pytest.mark.network, pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[ChainNetwork]:
    with run_network(tmp_path / "net") as running:
        yield running


def vgroup_chain(network: ChainNetwork, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--dir", str(network.layout.directory)], catch_exceptions=False)


def pids(network: ChainNetwork) -> list[int | None]:
    return [find_process(network.layout.folder(card)) for card in network.layout.nodes]


def kill(network: ChainNetwork, nodes: list[int]) -> None:
    """As a power cut does it, all at once; return when the kernel has ended them."""
    for node in nodes:
        pid = pids(network)[node]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    while any(pids(network)[node] is not None for node in nodes):
        time.sleep(0.01)


def block(network: ChainNetwork, number: int | str, node: int = 0) -> dict[str, Any]:
    folder = network.layout.folder(network.layout.nodes[node])
    at = hex(number) if isinstance(number, int) else number
    found: dict[str, Any] = ask_node(folder.socket, "eth_getBlockByNumber", at, False)
    return found


@contextmanager
def occupied(host: str, port: int) -> Iterator[None]:
    with socket.create_server((host, port)):
        yield


def ask_over_http(url: str, method: str) -> dict[str, Any]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": []})
    connection.request("POST", "/", body, {"Content-Type": "application/json"})
    answered: dict[str, Any] = json.load(connection.getresponse())
    connection.close()
    return answered


def test_running_network_is_left_alone_by_up_and_a_killed_node_is_started_again(network: ChainNetwork) -> None:
    before = pids(network)
    assert vgroup_chain(network, "up").exit_code == 0
    assert pids(network) == before
    kill(network, [1])
    unwell = vgroup_chain(network, "status", "--json")
    assert unwell.exit_code == 1
    assert "node-2 does not run" in json.loads(unwell.stdout)["problems"]
    assert vgroup_chain(network, "up").exit_code == 0
    after = pids(network)
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] not in (None, before[1])
    well = vgroup_chain(network, "status", "--json")
    assert (well.exit_code, json.loads(well.stdout)["problems"]) == (0, [])


def test_all_nodes_killed_at_once_lose_no_block(network: ChainNetwork) -> None:
    network.wait_until_well()
    head = min(int(block(network, "latest", node)["number"], 16) for node in range(3))
    kept = block(network, head - 1)
    kill(network, [0, 1, 2])
    network.start(geth())
    network.wait_until_well()
    assert [block(network, head - 1, node)["hash"] for node in range(3)] == [kept["hash"]] * 3


def test_down_stops_every_node_and_up_goes_on_from_there(network: ChainNetwork) -> None:
    height = network.health().height
    assert height is not None
    assert vgroup_chain(network, "down").exit_code == 0
    assert pids(network) == [None] * 3
    assert vgroup_chain(network, "down").exit_code == 0
    up = vgroup_chain(network, "up", "--json")
    assert json.loads(up.stdout)["height"] > height


def test_added_signer_seals_and_a_removed_one_is_no_signer_any_more(network: ChainNetwork) -> None:
    assert vgroup_chain(network, "add-signer", "--name", "ward-7").exit_code == 0
    grown = ChainNetwork.open(network.layout.directory)
    added = grown.layout.node("ward-7")
    assert added.account in fetch_signers(grown.layout)
    status = ask_node(grown.layout.folder(added).socket, "clique_status")
    assert status["sealerActivity"][f"0x{added.account.hex()}"] > 0
    assert ask_node(grown.layout.folder(added).socket, "clique_proposals") == {}
    assert vgroup_chain(network, "remove-signer", "ward-7").exit_code == 0
    assert added.account not in fetch_signers(network.layout)
    assert find_process(grown.layout.folder(added)) is None
    network.wait_until_well()


def test_http_offers_nothing_that_changes_a_node_or_its_signers(chain_network: ChainNetwork) -> None:
    url = chain_network.layout.nodes[0].url
    assert int(ask_over_http(url, "eth_chainId")["result"], 16) == chain_network.layout.chain_id
    for method in ("clique_propose", "admin_peers", "personal_listAccounts", "miner_stop", "debug_setHead"):
        assert ask_over_http(url, method)["error"]["code"] == -32601, method


def test_secrets_are_in_files_for_their_owner_alone(chain_network: ChainNetwork) -> None:
    layout = chain_network.layout
    folder = layout.folder(layout.nodes[0])
    secrets = [layout.relayer_key(0), folder.node_key, folder.password, *folder.keystore.iterdir(), folder.socket]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE(layout.directory.stat().st_mode) == stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_node_whose_port_is_taken_is_not_started_and_the_message_names_the_port(network: ChainNetwork) -> None:
    card = network.layout.node("node-2")
    network.stop(["node-2"])
    with occupied(card.http_host, card.http_port), pytest.raises(PortInUse, match=str(card.http_port)):
        network.start(geth())
    assert find_process(network.layout.folder(card)) is None


def test_node_that_ends_at_once_shows_its_last_lines(network: ChainNetwork) -> None:
    network.stop(["node-3"])
    network.layout.genesis.write_text(network.layout.genesis.read_text().replace('"gasLimit"', '"gasLimits"'))
    with pytest.raises(NodeFailed, match=r"(?s)node-3 ended with status.*gasLimit"):
        network.start(geth(), names=["node-3"])
