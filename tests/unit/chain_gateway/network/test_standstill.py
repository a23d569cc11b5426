"""When nodes are parted to meet anew, and when they are left alone. Real nodes do it in tests/network."""

import json
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain_gateway.network import ChainNetwork, NetworkLayout, NewNetwork
from chain_gateway.network.layout import NodeCard
from chain_gateway.network.standstill import MEET_AFTER_S, mend_standstill
from tests.support.seeded import SeededRandom

LONG_S = 2 * MEET_AFTER_S


@pytest.fixture
def layout(tmp_path: Path) -> NetworkLayout:
    return ChainNetwork.create(tmp_path / "net", NewNetwork(http_port=0, p2p_port=0), SeededRandom(1)).layout


@contextmanager
def node_on_its_socket(
    layout: NetworkLayout, card: NodeCard, *, peers: int, weight: int = 2, age_s: float = LONG_S, up_s: float = LONG_S
) -> Iterator[list[str]]:
    """Something that answers as a node with such a head; the methods that changed its peers are in the list."""
    others = [other.enode for other in layout.nodes if other != card][:peers]
    head = {"timestamp": hex(int(time.time() - age_s)), "totalDifficulty": hex(weight)}
    answers: dict[str, Any] = {
        "eth_getBlockByNumber": head,
        "clique_getSigners": [f"0x{each.account.hex()}" for each in layout.nodes],
        "admin_peers": [{"enode": enode} for enode in others],
        "net_peerCount": hex(peers),
    }
    changes: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method = json.loads(self.request.recv(65_536))["method"]
            if method not in answers:
                changes.append(method)
            self.wfile.write(json.dumps({"id": 1, "result": answers.get(method, True)}).encode() + b"\n")

    path = layout.folder(card).socket
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        os.utime(path, (time.time() - up_s,) * 2)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield changes
        server.shutdown()


def test_of_nodes_that_stand_the_one_with_the_heaviest_chain_meets_its_peers_anew(layout: NetworkLayout) -> None:
    with ExitStack() as running:
        changes = [
            running.enter_context(node_on_its_socket(layout, card, peers=2, weight=weight))
            for card, weight in zip(layout.nodes, (2, 3, 2), strict=True)
        ]
        assert mend_standstill(layout) == "node-2"
    assert changes == [[], ["admin_removePeer"] * 2 + ["admin_addPeer"] * 2, []]


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"peers": 2, "age_s": 1.0}, id="a block came just now"),
        pytest.param({"peers": 2, "up_s": 1.0}, id="the chain is old and the node has just started"),
        pytest.param({"peers": 0}, id="too few signers are there for a block"),
    ],
)
def test_node_that_gets_no_block_for_another_reason_is_left_alone(layout: NetworkLayout, state: Any) -> None:
    with node_on_its_socket(layout, layout.nodes[0], **state) as changes:
        assert mend_standstill(layout) is None
    assert changes == []


def test_nodes_that_do_not_run_are_left_alone(layout: NetworkLayout) -> None:
    assert mend_standstill(layout) is None
