"""Signers that stand beside each other, each with a block of its own, and how they go on (ADR 0029)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain_gateway.cli import app
from chain_gateway.network import ChainNetwork, NewNetwork
from chain_gateway.network.ipc import answers
from chain_gateway.network.layout import NodeCard
from chain_gateway.network.node_files import write_start_files
from chain_gateway.network.processes import start_node
from tests.support.geth_network import geth, run_network
from tests.support.parted_nodes import ask, join_nodes, part_nodes

pytestmark = [pytest.mark.geth, pytest.mark.network, pytest.mark.processes, pytest.mark.timeout(300)]

SOON_S = 60.0
STANDS_S = 12.0
"""Longer than geth takes to ask for a longer chain that it knows of (10 s)."""

DROPPED_S = 3.0
"""A block comes as a whole, or as a hash after which geth asks half a second later (eth/fetcher, arriveTimeout)."""


def until(is_so: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < ends_at, what
        time.sleep(0.1)


def heads(network: ChainNetwork) -> list[tuple[int, str]]:
    layout = network.layout
    blocks = [ask(layout, card, "eth_getBlockByNumber", "latest", False) for card in layout.nodes]
    return [(int(block["number"], 16), block["hash"]) for block in blocks]


def height(network: ChainNetwork, card: NodeCard) -> int:
    return int(ask(network.layout, card, "eth_blockNumber"), 16)


@contextmanager
def nodes_that_do_not_seal_yet(directory: Path) -> Iterator[ChainNetwork]:
    """As every node is for a moment when it starts; on a busy machine for some seconds."""
    network = ChainNetwork.create(directory, NewNetwork(http_port=0, p2p_port=0))
    layout = network.layout
    try:
        for card in layout.nodes:
            folder = layout.folder(card)
            write_start_files(layout, card, geth(), 2)
            script = folder.start_script.read_text("utf-8")
            assert "--mine " in script
            folder.start_script.write_text(script.replace("--mine ", ""), "utf-8")
            start_node(folder)
        until(lambda: all(answers(layout.folder(card)) for card in layout.nodes), "no answer")
        until(lambda: all(node.peers == 2 for node in network.health().nodes), "they do not meet")
        yield network
    finally:
        network.stop()


def make_stand(network: ChainNetwork) -> None:
    """Whose turn block 1 is (its number modulo the signers, by account) seals it first; the others drop it.

    They begin when it is gone for them: another's block that comes after is of less weight than one's own, or the same.
    """
    last, first, second = sorted(network.layout.nodes, key=lambda card: card.account)
    for card in (first, second, last):
        ask(network.layout, card, "miner_start")
        until(lambda card=card: height(network, card) == 1, "no block")  # type: ignore[misc]
        time.sleep(DROPPED_S)


def test_signers_that_began_one_after_the_other_and_stand_each_on_its_own_block_go_on_after_up(tmp_path: Path) -> None:
    with nodes_that_do_not_seal_yet(tmp_path / "net") as network:
        make_stand(network)
        time.sleep(STANDS_S)
        stood = heads(network)
        assert [number for number, _ in stood] == [1, 1, 1]
        assert len({block for _, block in stood}) == 3
        up = CliRunner().invoke(app, ["up", "--dir", str(network.layout.directory)], catch_exceptions=False)
        assert up.exit_code == 0, up.output
        until(lambda: min(number for number, _ in heads(network)) >= 4, "no blocks")
        assert network.health().problems == ()


def test_signers_parted_from_each_other_stand_and_go_on_by_themselves_when_they_meet_again(tmp_path: Path) -> None:
    with run_network(tmp_path / "net") as network:
        pairs = list(combinations(network.layout.nodes, 2))
        part_nodes(network.layout, pairs)
        until(lambda: "stands" in " ".join(network.health().problems), "alone, they went on")
        stood = max(number for number, _ in heads(network))
        join_nodes(network.layout, pairs)
        until(lambda: network.health().is_well and min(heads(network))[0] > stood + 2, "they stand")
