"""A chain that stands although its signers see each other, and how it is set going again (``docs/adr/0029``).

A geth node drops the blocks that reach it before it seals itself, and nobody sends them to it again. What it knows of
a peer's chain is from the moment when they met and from later blocks. So where each signer has sealed its one block
beside the others', no later block comes, and nobody asks for another's chain. When two nodes meet anew they tell each
other how long their chains are, and the shorter one gives way.
"""

import contextlib
import time
from dataclasses import dataclass
from typing import Final

from chain_gateway.network.errors import NodeRefused, NodeSilent
from chain_gateway.network.ipc import ask_node
from chain_gateway.network.layout import NetworkLayout, NodeCard

MEET_AFTER_S: Final = 40.0
"""Before, it may go on by itself: geth asks for longer chains 10 s after its start (``eth/sync.go``, forceSyncCycle),
and dials nobody twice within 35 s (``p2p/dial.go``, dialHistoryExpiration): nodes parted sooner would stay apart."""

MEET_AFTER_PERIODS: Final = 5
_REDIAL_TIMEOUT_S: Final = 3.0
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class StandingNode:
    """A node that runs, sees enough of the others, and gets no block.

    Attributes:
        total_difficulty: Of its chain: of two chains, nodes take the one where this is higher.
        peers: Their enodes, as the node has them.
    """

    card: NodeCard
    total_difficulty: int
    peers: tuple[str, ...]


def mend_standstill(layout: NetworkLayout) -> str | None:
    """If the chain stands, part the node here that has the best chain from its peers and have them meet anew.

    The node goes on answering meanwhile. Whoever asks again should wait for :data:`MEET_AFTER_S`.

    Returns:
        The node's name; None where no node here stands, or too few signers are there for a block.
    """
    standing = [node for card in layout.nodes_here if (node := _look_at(layout, card)) is not None]
    if not standing:
        return None
    best = max(standing, key=lambda node: node.total_difficulty)
    with contextlib.suppress(NodeSilent, NodeRefused):
        _meet_anew(layout, best)
    return best.card.name


def _look_at(layout: NetworkLayout, card: NodeCard) -> StandingNode | None:
    folder = layout.folder(card)
    try:
        head = ask_node(folder.socket, "eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC has no names
        signers = len(ask_node(folder.socket, "clique_getSigners"))
        peers = tuple(peer["enode"] for peer in ask_node(folder.socket, "admin_peers"))
        # geth makes the socket when it starts: a chain that was down for a night has an old block, and stands no longer
        began_s = max(int(head["timestamp"], 16), folder.socket.stat().st_mtime)
    except (NodeSilent, NodeRefused, FileNotFoundError):
        return None
    stands = time.time() - began_s > max(MEET_AFTER_S, MEET_AFTER_PERIODS * layout.period_s)
    if not (stands and peers and len(peers) + 1 >= signers // 2 + 1):
        return None
    return StandingNode(card, int(head["totalDifficulty"], 16), peers)


def _meet_anew(layout: NetworkLayout, node: StandingNode) -> None:
    """The others dial it as soon as they are parted. It dials after them: two dials that cross may end each other."""
    socket = layout.folder(node.card).socket
    others = [card.enode for card in layout.nodes if card.name != node.card.name]
    try:
        for enode in node.peers:
            ask_node(socket, "admin_removePeer", enode)
        ends_at = time.monotonic() + _REDIAL_TIMEOUT_S
        while int(ask_node(socket, "net_peerCount"), 16) < len(node.peers) and time.monotonic() < ends_at:
            time.sleep(_POLL_S)
    finally:
        for enode in others:
            ask_node(socket, "admin_addPeer", enode)
