"""Nodes of a running network parted from each other, for good: geth would soon have them together again."""

import time
from collections.abc import Sequence
from typing import Any, Final

from chain_gateway.network.ipc import ask_node
from chain_gateway.network.layout import NetworkLayout, NodeCard

PART_TIMEOUT_S: Final = 60.0
QUIET_S: Final = 3.0
"""A dial and its handshakes take some milliseconds on loopback, and this is hundreds of them."""

Pair = tuple[NodeCard, NodeCard]


def ask(layout: NetworkLayout, card: NodeCard, method: str, *params: object) -> Any:
    """A question on the node's Unix socket."""
    return ask_node(layout.folder(card).socket, method, *params)


def part_nodes(layout: NetworkLayout, pairs: Sequence[Pair]) -> None:
    """Part each pair, and go on until nothing has connected one again for as long as a dial may take.

    ``admin_removePeer`` ends a connection and takes the address off the node's list, but does not end a dial that is
    under way (geth's p2p/dial.go: ``remStaticCh`` leaves ``dialing`` alone). And one is under way whenever the other
    node has not dialled for 35 s: it dials as soon as it sees the connection end, before it can be told as well.
    """
    ends_at = time.monotonic() + PART_TIMEOUT_S
    quiet_since_s = time.monotonic()
    while time.monotonic() < quiet_since_s + QUIET_S:
        assert time.monotonic() < ends_at, "the nodes cannot be parted"
        if any(are_connected(layout, pair) for pair in pairs):
            quiet_since_s = time.monotonic()
        for one, other in pairs:
            ask(layout, one, "admin_removePeer", other.enode)
            ask(layout, other, "admin_removePeer", one.enode)
        time.sleep(0.1)


def are_connected(layout: NetworkLayout, pair: Pair) -> bool:
    """Whether one of the two has the other as its peer."""
    keys = [(pair[0], pair[1].enode_key.hex()), (pair[1], pair[0].enode_key.hex())]
    return any(key in peer["enode"] for card, key in keys for peer in ask(layout, card, "admin_peers"))


def join_nodes(layout: NetworkLayout, pairs: Sequence[Pair]) -> None:
    """Have the first of each pair dial the second, and tell the second when that is done.

    Two dials that cross may end each other. It may take 35 s: geth dials nobody twice within that time.
    """
    for one, other in pairs:
        ask(layout, one, "admin_addPeer", other.enode)
    ends_at = time.monotonic() + PART_TIMEOUT_S
    while not all(are_connected(layout, pair) for pair in pairs):
        assert time.monotonic() < ends_at, "the nodes do not come together again"
        time.sleep(0.1)
    for one, other in pairs:
        ask(layout, other, "admin_addPeer", one.enode)
