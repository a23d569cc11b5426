"""Letting a signer in and voting one out: more than half of the signers have to say so, each in a block of its own."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from chain_gateway.network.errors import NetworkFolderRefused, NodeFailed, PortInUse
from chain_gateway.network.ipc import answers, ask_node
from chain_gateway.network.layout import NetworkLayout, NodeCard, NodeFolder
from chain_gateway.network.lifecycle import ChainNetwork, Tell, tell_nobody
from chain_gateway.network.node_files import make_node_keys
from chain_gateway.network.ports import choose_ports, require_free
from group_protocol.identifiers import Address
from group_protocol.ports import Random
from system_ports.randomness import SystemRandom

VOTE_TIMEOUT_PERIODS: Final = 60
"""A vote stands in a block that its signer seals: with few signers a matter of a few blocks."""

VOTE_TIMEOUT_MARGIN_S: Final = 30.0
_POLL_S: Final = 0.2


def add_node(network: ChainNetwork, name: str, random: Random | None = None) -> ChainNetwork:
    """Make the keys of one more node and remember it; it does not run yet, and is no signer. The network with it.

    The node is a neighbour of the last one: same addresses, the next ports.

    Raises:
        NetworkFolderRefused: There is a node of that name, or something else where its folder would be.
    """
    layout = network.layout
    if any(card.name == name for card in layout.nodes):
        raise NetworkFolderRefused(f"there is a node {name} in {layout.directory} already")
    with network.changing():
        last = layout.nodes[-1]
        account, enode_key = make_node_keys(NodeFolder(layout.directory / name), random or SystemRandom())
        taken = {port for card in layout.nodes for port in (card.http_port, card.p2p_port)}
        card = replace(
            last,
            name=name,
            account=account,
            enode_key=enode_key,
            http_port=_next_port(last.http_host, last.http_port, taken),
            p2p_port=_next_port(last.p2p_host, last.p2p_port, taken),
        )
        grown = replace(layout, nodes=(*layout.nodes, card))
        grown.write()
    return ChainNetwork(grown)


def add_signer(
    network: ChainNetwork, name: str, geth: Path, *, verbosity: int = 2, tell: Tell = tell_nobody
) -> ChainNetwork:
    """Make a node, start it, let the present signers vote for it, and wait until it has sealed a block.

    A node of that name that is no signer yet is taken as it is: so a call that was broken off can be made again.

    Raises:
        NetworkFolderRefused: That node is a signer already.
        NodeFailed: It does not start, or fewer than half of the signers vote in time.
    """
    known = next((card for card in network.layout.nodes if card.name == name), None)
    if known is not None and known.account in fetch_signers(network.layout):
        raise NetworkFolderRefused(f"{name} is a signer already")
    if known is None:
        tell(f"making {name}")
        network = add_node(network, name)
    card = network.layout.node(name)
    network.start(geth, names=[name], verbosity=verbosity, tell=tell)
    _introduce(network.layout, card)
    tell(f"waiting until {name} has the chain")
    _wait(network, lambda: _has_caught_up(network.layout, card), f"{name} does not catch up with the chain")
    vote(network, card.account, is_let_in=True, tell=tell)
    tell(f"waiting until {name} seals")
    _wait(network, lambda: _has_sealed(network.layout, card), f"{name} may seal, and does not")
    return network


def remove_signer(network: ChainNetwork, name: str, *, tell: Tell = tell_nobody) -> ChainNetwork:
    """Vote a signer out, stop its node and forget it; its folder stays. The network without it.

    Raises:
        NetworkFolderRefused: It is the last one.
        NodeFailed: Fewer than half of the signers vote in time.
    """
    layout, card = network.layout, network.layout.node(name)
    if len(layout.nodes) == 1:
        raise NetworkFolderRefused(f"{name} is the network's last node", remedy="To end the network: chain down.")
    if card.account in fetch_signers(layout):
        vote(network, card.account, is_let_in=False, tell=tell)
    network.stop([name])
    with network.changing():
        shrunk = replace(layout, nodes=tuple(other for other in layout.nodes if other.name != name))
        shrunk.write()
    return ChainNetwork(shrunk)


def vote(network: ChainNetwork, account: Address, *, is_let_in: bool, tell: Tell = tell_nobody) -> None:
    """Have every signer that runs here vote for or against an account, and wait until the vote is through.

    Raises:
        NodeFailed: It is not through in time, because too few signers are here or seal.
    """
    propose(network.layout, account, is_let_in=is_let_in)
    tell("waiting for the signers' votes")
    try:
        _wait(
            network,
            lambda: (account in fetch_signers(network.layout)) == is_let_in,
            "the vote is not through; more than half of the signers have to vote, each in a block of its own",
        )
    finally:
        # A proposal stays in a node's memory: it would let the account in again after it was voted out.
        for folder in _answering(network.layout):
            ask_node(folder.socket, "clique_discard", _hex(account))


def propose(layout: NetworkLayout, account: Address, *, is_let_in: bool) -> int:
    """Put a vote into the memory of every node here; how many nodes took it.

    Raises:
        NodeFailed: None runs.
    """
    folders = _answering(layout)
    if not folders:
        raise NodeFailed(f"no node of {layout.directory} runs", remedy="Run `vgroup chain up` first.")
    for folder in folders:
        ask_node(folder.socket, "clique_propose", _hex(account), is_let_in)
    return len(folders)


def fetch_signers(layout: NetworkLayout) -> frozenset[Address]:
    """Who may seal, as the first node that answers sees it. Raises NodeFailed if none does."""
    for folder in _answering(layout):
        return frozenset(Address(bytes.fromhex(each[2:])) for each in ask_node(folder.socket, "clique_getSigners"))
    raise NodeFailed(f"no node of {layout.directory} runs", remedy="Run `vgroup chain up` first.")


def _answering(layout: NetworkLayout) -> list[NodeFolder]:
    folders = [layout.folder(card) for card in layout.nodes_here]
    return [folder for folder in folders if answers(folder)]


def _introduce(layout: NetworkLayout, newcomer: NodeCard) -> None:
    """The newcomer dials the others, as its geth.toml says; those that restart after it dial it too."""
    for card in layout.nodes:
        if card.name != newcomer.name and answers(layout.folder(card)):
            ask_node(layout.folder(card).socket, "admin_addPeer", newcomer.enode)


def _has_caught_up(layout: NetworkLayout, newcomer: NodeCard) -> bool:
    heights = {
        card.name: int(ask_node(layout.folder(card).socket, "eth_blockNumber"), 16)
        for card in layout.nodes
        if answers(layout.folder(card))
    }
    return heights.get(newcomer.name, -1) >= max(heights.values(), default=0) - 1


def _has_sealed(layout: NetworkLayout, card: NodeCard) -> bool:
    activity = ask_node(layout.folder(card).socket, "clique_status")["sealerActivity"]
    return bool(activity.get(_hex(card.account)))


def _wait(network: ChainNetwork, is_done: Callable[[], bool], complaint: str) -> None:
    ends_at = time.monotonic() + VOTE_TIMEOUT_PERIODS * network.layout.period_s + VOTE_TIMEOUT_MARGIN_S
    while not is_done():
        if time.monotonic() > ends_at:
            problems = "; ".join(network.health().problems)
            raise NodeFailed(f"{complaint}{f' ({problems})' if problems else ''}", remedy="Run `vgroup chain status`.")
        time.sleep(_POLL_S)


def _next_port(host: str, last: int, taken: set[int]) -> int:
    """The port after the last node's, or any that is free if somebody has that one."""
    if last + 1 not in taken:
        with contextlib.suppress(PortInUse):
            require_free(host, last + 1, what="the new node", remedy="")
            return last + 1
    (free,) = choose_ports(host, 0, 1)
    return free


def _hex(account: Address) -> str:
    return f"0x{account.hex()}"
