"""How a network is: each node's height, peers and signers, and what of it is not as it should be."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final

from chain_gateway.network.errors import NodeRefused, NodeSilent
from chain_gateway.network.ipc import ask_node
from chain_gateway.network.layout import NetworkLayout, NodeCard
from chain_gateway.network.processes import cut_log, find_process

LAG_MAX_BLOCKS: Final = 3
"""A node this far behind the highest one is still well: blocks travel, and forks of one block are common in Clique."""

STALL_PERIODS: Final = 3
STALL_MARGIN_S: Final = 4.0
"""The chain stands if its newest block is older than three periods and this: a signer out of turn waits up to 1 s."""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """One node. All but the first three are None where it does not answer.

    Attributes:
        lag_blocks: Blocks behind the highest node.
        head_age_s: Seconds since its newest block's timestamp.
        signers: Accounts that may seal, as this node sees it, in hex.
        is_signer: Whether its own account is one of them.
    """

    name: str
    url: str
    pid: int | None
    height: int | None = None
    head: str | None = None
    head_age_s: float | None = None
    lag_blocks: int | None = None
    peers: int | None = None
    signers: tuple[str, ...] | None = None
    is_signer: bool | None = None
    is_sealing: bool | None = None


@dataclass(frozen=True, slots=True)
class NetworkHealth:
    """All nodes, and what is wrong, in words. The network is well if nothing is."""

    chain_id: int
    period_s: int
    height: int | None
    nodes: tuple[NodeHealth, ...]
    problems: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"is_well": self.is_well, **asdict(self)}


def fetch_health(layout: NetworkLayout) -> NetworkHealth:
    """Ask every node of a network that is on this machine, side by side."""
    here = layout.nodes_here
    with ThreadPoolExecutor(max_workers=max(1, len(here))) as pool:
        seen = list(pool.map(lambda card: _look_at(layout, card), here))
    height = max((node.height for node in seen if node.height is not None), default=None)
    nodes = tuple(_with_lag(node, height) for node in seen)
    return NetworkHealth(layout.chain_id, layout.period_s, height, nodes, tuple(find_problems(layout, nodes)))


def _look_at(layout: NetworkLayout, card: NodeCard) -> NodeHealth:
    folder = layout.folder(card)
    cut_log(folder)
    pid = find_process(folder)
    try:
        head = ask_node(folder.socket, "eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC has no names
        peers = int(ask_node(folder.socket, "net_peerCount"), 16)
        signers = tuple(sorted(ask_node(folder.socket, "clique_getSigners")))
        is_sealing = bool(ask_node(folder.socket, "eth_mining"))
    except (NodeSilent, NodeRefused):
        return NodeHealth(card.name, card.url, pid)
    return NodeHealth(
        name=card.name,
        url=card.url,
        pid=pid,
        height=int(head["number"], 16),
        head=head["hash"],
        head_age_s=round(time.time() - int(head["timestamp"], 16), 1),
        peers=peers,
        signers=signers,
        is_signer=f"0x{card.account.hex()}" in signers,
        is_sealing=is_sealing,
    )


def _with_lag(node: NodeHealth, height: int | None) -> NodeHealth:
    if node.height is None or height is None:
        return node
    fields = {name: getattr(node, name) for name in NodeHealth.__slots__} | {"lag_blocks": height - node.height}
    return NodeHealth(**fields)


def find_problems(layout: NetworkLayout, nodes: Sequence[NodeHealth]) -> list[str]:
    """What is not as it should be, in words; nothing if all is well. ``nodes`` are those on this machine."""
    answering = [node for node in nodes if node.height is not None]
    if not answering:
        return ["no node runs"]
    problems = [
        f"{node.name} {'does not answer' if node.pid else 'does not run'}" for node in nodes if node.height is None
    ]
    for node in answering:
        problems += _problems_of(node, others=len(layout.nodes) - 1)
    best = max(answering, key=lambda node: node.height or 0)
    stalled_s = STALL_PERIODS * layout.period_s + STALL_MARGIN_S
    if best.height and best.head_age_s is not None and best.head_age_s > stalled_s:
        problems.append(f"the chain stands at block {best.height} since {best.head_age_s:.0f} s")
    signers = best.signers or ()
    here = {f"0x{layout.node(node.name).account.hex()}" for node in answering}
    sealing, needed = len(here.intersection(signers)), len(signers) // 2 + 1
    if sealing < needed and len(nodes) == len(layout.nodes):
        problems.append(f"{sealing} of {len(signers)} signers are here; blocks take {needed}")
    return problems


def _problems_of(node: NodeHealth, others: int) -> list[str]:
    problems = []
    if node.peers is not None and node.peers < others:
        problems.append(f"{node.name} sees {node.peers} of {others} peers")
    if node.lag_blocks is not None and node.lag_blocks > LAG_MAX_BLOCKS:
        problems.append(f"{node.name} is {node.lag_blocks} blocks behind")
    if node.is_signer and not node.is_sealing:
        problems.append(f"{node.name} is a signer and does not seal")
    return problems
