"""The life of a network: made, started, stopped."""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from chain_gateway.network.errors import NetworkFolderRefused, NodeFailed
from chain_gateway.network.genesis import CHAIN_ID, PERIOD_S, clique_genesis
from chain_gateway.network.health import NetworkHealth, fetch_health
from chain_gateway.network.ipc import answers
from chain_gateway.network.layout import NetworkLayout, NodeCard, NodeFolder, is_network
from chain_gateway.network.node_files import make_node_keys, make_relayer_key, write_start_files
from chain_gateway.network.ports import choose_ports, require_free
from chain_gateway.network.processes import find_process, log_end, start_node, stop_nodes
from chain_gateway.network.standstill import MEET_AFTER_S, mend_standstill
from group_protocol.ports import Random
from system_ports.private_files import replace_private_file
from system_ports.randomness import SystemRandom

HTTP_PORT: Final = 8545
P2P_PORT: Final = 30303
LOOPBACK: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 60.0
BEGINS_AFTER_S: Final = 3
"""From a network's making to its genesis block's time. Nodes that start take a second or two until they can use each
other's blocks: sealed sooner, block 1 is lost on some, who then seal another (``docs/adr/0029``)."""

WELL_TIMEOUT_S: Final = 100.0
"""A standstill mended (40 s and some), and after it two nodes that missed each other's dial (35 s)."""

_POLL_S: Final = 0.1
_LOOK_AGAIN_S: Final = 1.0

Tell = Callable[[str], None]
"""Takes a line that says how far we are."""


def tell_nobody(_: str) -> None:
    """Progress for which nobody waits."""


@dataclass(frozen=True, slots=True)
class NewNetwork:
    """What a new network should be.

    Attributes:
        signers: Nodes that seal.
        relayers: Accounts with ether that it begins with.
        p2p_hosts: Addresses of the nodes for each other; one for all, or one each.
        http_host: Address of every node's JSON-RPC.
        http_port: JSON-RPC of the first node; the others have the ports after it. 0: any that are free.
        p2p_port: The same for the nodes' talk with each other.
    """

    signers: int = 3
    relayers: int = 4
    chain_id: int = CHAIN_ID
    period_s: int = PERIOD_S
    p2p_hosts: tuple[str, ...] = (LOOPBACK,)
    http_host: str = LOOPBACK
    http_port: int = HTTP_PORT
    p2p_port: int = P2P_PORT


class ChainNetwork:
    """A network in a folder. Blocking; none of it needs an event loop."""

    def __init__(self, layout: NetworkLayout, random: Random | None = None) -> None:
        self.layout = layout
        self._random = random or SystemRandom()

    @classmethod
    def open(cls, directory: Path) -> "ChainNetwork":
        """The network that a folder holds. Raises NetworkFolderRefused."""
        return cls(NetworkLayout.read(directory.absolute()))

    @classmethod
    def create(cls, directory: Path, wanted: NewNetwork, random: Random | None = None) -> "ChainNetwork":
        """Make keys and genesis; nothing is started. The description is written last: without it there is no network.

        Raises:
            NetworkFolderRefused: There is one already, or something else.
        """
        directory = directory.absolute()
        if is_network(directory):
            raise NetworkFolderRefused(f"there is a network in {directory} already")
        if len(wanted.p2p_hosts) not in (1, wanted.signers):
            raise NetworkFolderRefused(
                f"{len(wanted.p2p_hosts)} addresses for {wanted.signers} nodes", remedy="Name one for all, or one each."
            )
        random = random or SystemRandom()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        empty = NetworkLayout(directory, wanted.chain_id, wanted.period_s, wanted.signers, ())
        layout = replace(
            empty,
            nodes=tuple(_make_nodes(empty, wanted, random)),
            relayers=tuple(make_relayer_key(empty.relayer_key(index), random) for index in range(wanted.relayers)),
        )
        genesis = clique_genesis(
            chain_id=wanted.chain_id,
            period_s=wanted.period_s,
            signers=[card.account for card in layout.nodes],
            funded=layout.relayers,
            begins_unix_s=int(time.time()) + BEGINS_AFTER_S if wanted.signers > 1 else 0,
        )
        write_genesis(layout.genesis, genesis)
        layout.write()
        return cls(layout, random)

    def health(self) -> NetworkHealth:
        """How it is now."""
        return fetch_health(self.layout)

    def start(self, geth: Path, *, names: Sequence[str] = (), verbosity: int = 2, tell: Tell = tell_nobody) -> None:
        """Start the nodes that do not run, all of them or those named, and wait until they answer.

        Raises:
            PortInUse: A port of one of them is taken; none was started.
            NodeFailed: One ended at once, or does not answer in time.
        """
        with self.changing():
            cards = self._chosen(names)
            down = [card for card in cards if find_process(self.layout.folder(card)) is None]
            for card in down:
                self._require_ports(card)
            for card in down:
                write_start_files(self.layout, card, geth, verbosity)
            started = {card.name: start_node(self.layout.folder(card)) for card in down}
            for card in down:
                tell(f"waiting for {card.name}")
                self._wait_for_answer(card, started[card.name])

    def wait_until_well(self, timeout_s: float = WELL_TIMEOUT_S, tell: Tell = tell_nobody) -> NetworkHealth:
        """Wait until every node sees the others and blocks are sealed; how the network is then.

        Signers that stand beside each other are set going again.

        Raises:
            NodeFailed: That took too long; the message says what is missing.
        """
        return self._wait_for_block(lambda health: health.is_well, "well", timeout_s, tell)

    def wait_for_block(self, timeout_s: float = WELL_TIMEOUT_S, tell: Tell = tell_nobody) -> NetworkHealth:
        """Wait for a new block, whatever else is not well; signers that stand are set going again.

        Raises:
            NodeFailed: None came in time.
        """
        return self._wait_for_block(lambda _: True, "going on", timeout_s, tell)

    def _wait_for_block(
        self, is_enough: Callable[[NetworkHealth], bool], aim: str, timeout_s: float, tell: Tell
    ) -> NetworkHealth:
        ends_at = time.monotonic() + timeout_s
        mend_at = 0.0
        first_height: int | None = None
        while True:
            health = self.health()
            first_height = health.height if first_height is None else first_height
            if is_enough(health) and health.height is not None and health.height > (first_height or 0):
                return health
            tell("; ".join(health.problems) or f"waiting for block {(health.height or 0) + 1}")
            if time.monotonic() > ends_at:
                raise NodeFailed(
                    f"the network is not {aim} after {timeout_s:.0f} s: {'; '.join(health.problems) or 'no new block'}",
                    remedy=f"Read the nodes' logs: {self.layout.directory}/*/node.log",
                )
            if time.monotonic() > mend_at:
                mended = mend_standstill(self.layout)
                mend_at = time.monotonic() + (MEET_AFTER_S if mended else _LOOK_AGAIN_S)
            time.sleep(_POLL_S)

    def stop(self, names: Sequence[str] = ()) -> list[str]:
        """Stop all nodes, or those named; the names of those that had to be killed."""
        with self.changing():
            return stop_nodes([self.layout.folder(card) for card in self._chosen(names)])

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One command at a time changes a network. Raises NetworkFolderRefused where another one does."""
        descriptor = os.open(self.layout.directory / "network.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, self.layout.directory)
            yield
        finally:
            os.close(descriptor)

    def _chosen(self, names: Sequence[str]) -> list[NodeCard]:
        """The nodes named, or all that are on this machine."""
        return [self.layout.node(name) for name in names] or list(self.layout.nodes_here)

    def _require_ports(self, card: NodeCard) -> None:
        remedy = f"Stop that program, or change the node's ports in {self.layout.directory / 'network.json'}."
        require_free(card.http_host, card.http_port, what=f"{card.name} (JSON-RPC)", remedy=remedy)
        require_free(card.p2p_host, card.p2p_port, what=f"{card.name} (peers)", remedy=remedy)

    def _wait_for_answer(self, card: NodeCard, process: "subprocess.Popen[bytes]") -> None:
        folder = self.layout.folder(card)
        ends_at = time.monotonic() + START_TIMEOUT_S
        while not answers(folder):
            status = process.poll()
            if status is not None:
                folder.pid_file.unlink(missing_ok=True)
                raise NodeFailed(
                    f"{card.name} ended with status {status}. Its last lines:\n{log_end(folder)}",
                    remedy=f"The whole log is {folder.log}; by hand: {folder.start_script}",
                )
            if time.monotonic() > ends_at:
                raise NodeFailed(
                    f"{card.name} runs, but does not answer after {START_TIMEOUT_S:.0f} s. Its last lines:\n"
                    f"{log_end(folder)}",
                    remedy=f"The whole log is {folder.log}",
                )
            time.sleep(_POLL_S)


def write_genesis(path: Path, genesis: dict[str, Any]) -> None:
    """Geth's genesis file. It holds no secret, but only its owner has to change it."""
    replace_private_file(path, json.dumps(genesis, indent=2).encode("ascii") + b"\n")


def _make_nodes(layout: NetworkLayout, wanted: NewNetwork, random: Random) -> Iterator[NodeCard]:
    names = [f"node-{number + 1}" for number in range(wanted.signers)]
    hosts = wanted.p2p_hosts * (wanted.signers if len(wanted.p2p_hosts) == 1 else 1)
    http_ports = choose_ports(wanted.http_host, wanted.http_port, wanted.signers)
    p2p_ports = choose_ports(hosts[0], wanted.p2p_port, wanted.signers)
    for name, host, p2p_port, http_port in zip(names, hosts, p2p_ports, http_ports, strict=True):
        account, enode_key = make_node_keys(NodeFolder(layout.directory / name), random)
        yield NodeCard(name, account, enode_key, host, p2p_port, wanted.http_host, http_port)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise NetworkFolderRefused(
            f"another command changes the network in {directory}", remedy="Wait for it, and try again."
        ) from exc
