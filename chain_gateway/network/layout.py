"""What a network's folder holds, and where.

::

    network.json          what the network is: chain id, period, and each node's address, enode key and ports
    genesis.json          the same for every node
    relayers/relayer-1.key …   accounts with ether, for gateways (0600)
    node-1/               0700
        start.sh          starts the node; also by hand
        geth.toml         its peers
        node.key          its key in the peer-to-peer network (0600)
        password          opens the keystore that lies beside it: it keeps out nobody who can read the folder (0600)
        keystore/         its account, which seals blocks
        node.log, node.pid, geth.ipc, data/
        card.json         what the other machines have to know, if there are any
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from chain_gateway.network.errors import NetworkFolderRefused
from group_protocol.identifiers import Address, parse_address
from system_ports.private_files import replace_private_file

_FORM: Final = 1
NETWORK_FILE: Final = "network.json"
CARD_FILE: Final = "card.json"
SOCKET_PATH_MAX_BYTES: Final = 107
"""sockaddr_un holds 108 bytes with the closing zero."""


@dataclass(frozen=True, slots=True)
class NodeCard:
    """What everybody may know of a node.

    Attributes:
        account: 20 bytes; seals blocks, if the signers have let it in.
        enode_key: 64 bytes: the public key of the node in the peer-to-peer network.
        p2p_host: Address that its peers dial.
        http_host: Address that its JSON-RPC listens on.
    """

    name: str
    account: Address
    enode_key: bytes
    p2p_host: str
    p2p_port: int
    http_host: str
    http_port: int

    @property
    def enode(self) -> str:
        """The URL under which peers find it (EIP-778's predecessor, ``enode://``)."""
        return f"enode://{self.enode_key.hex()}@{_in_url(self.p2p_host)}:{self.p2p_port}?discport=0"

    @property
    def url(self) -> str:
        """Its JSON-RPC."""
        return f"http://{_in_url(self.http_host)}:{self.http_port}"

    def to_json(self) -> dict[str, Any]:
        """For ``network.json``."""
        return {
            "name": self.name,
            "account": f"0x{self.account.hex()}",
            "enode_key": self.enode_key.hex(),
            "p2p_host": self.p2p_host,
            "p2p_port": self.p2p_port,
            "http_host": self.http_host,
            "http_port": self.http_port,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError or DecodingError for anything that :meth:`to_json` did not write."""
        return cls(
            name=str(fields["name"]),
            account=parse_address(bytes.fromhex(fields["account"].removeprefix("0x"))),
            enode_key=bytes.fromhex(fields["enode_key"]),
            p2p_host=str(fields["p2p_host"]),
            p2p_port=int(fields["p2p_port"]),
            http_host=str(fields["http_host"]),
            http_port=int(fields["http_port"]),
        )


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """The files of one node."""

    path: Path

    @property
    def name(self) -> str:
        """The node's name is its folder's."""
        return self.path.name

    @property
    def start_script(self) -> Path:
        """Shell script."""
        return self.path / "start.sh"

    @property
    def peers_file(self) -> Path:
        """Geth's configuration file: the static peers, which have no option on the command line."""
        return self.path / "geth.toml"

    @property
    def node_key(self) -> Path:
        """Private, 64 hex digits."""
        return self.path / "node.key"

    @property
    def password(self) -> Path:
        """Private."""
        return self.path / "password"

    @property
    def keystore(self) -> Path:
        """Folder."""
        return self.path / "keystore"

    @property
    def log(self) -> Path:
        """What the node prints."""
        return self.path / "node.log"

    @property
    def pid_file(self) -> Path:
        """Process id and start time of the running node."""
        return self.path / "node.pid"

    @property
    def socket(self) -> Path:
        """Unix socket of its JSON-RPC, all of it."""
        return self.path / "geth.ipc"


@dataclass(frozen=True, slots=True)
class NetworkLayout:
    """A network as its folder describes it.

    Attributes:
        first_signers: How many of the nodes the genesis block names as signers; the others were let in later.
    """

    directory: Path
    chain_id: int
    period_s: int
    first_signers: int
    nodes: tuple[NodeCard, ...]
    relayers: tuple[Address, ...] = field(default=())

    @property
    def genesis(self) -> Path:
        """Geth's genesis file."""
        return self.directory / "genesis.json"

    def folder(self, card: NodeCard) -> NodeFolder:
        """Where a node's files are."""
        return NodeFolder(self.directory / card.name)

    def relayer_key(self, index: int) -> Path:
        """Key file of relayer number ``index``, counted from 0."""
        return self.directory / "relayers" / f"relayer-{index + 1}.key"

    @property
    def nodes_here(self) -> tuple[NodeCard, ...]:
        """Those whose keys are in this folder; the others run on other machines."""
        return tuple(card for card in self.nodes if self.folder(card).node_key.exists())

    def node(self, name: str) -> NodeCard:
        """The node of that name. Raises NetworkFolderRefused."""
        for card in self.nodes:
            if card.name == name:
                return card
        names = ", ".join(card.name for card in self.nodes)
        raise NetworkFolderRefused(f"there is no node {name} in {self.directory}", remedy=f"There are: {names}.")

    def write(self) -> None:
        """Remember it, whole or not at all."""
        fields = {
            "form": _FORM,
            "chain_id": self.chain_id,
            "period_s": self.period_s,
            "first_signers": self.first_signers,
            "nodes": [card.to_json() for card in self.nodes],
            "relayers": [f"0x{address.hex()}" for address in self.relayers],
        }
        replace_private_file(self.directory / NETWORK_FILE, json.dumps(fields, indent=2).encode() + b"\n")

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The network in a folder.

        Raises:
            NetworkFolderRefused: There is none, or its description is damaged.
        """
        path = directory / NETWORK_FILE
        try:
            fields = json.loads(path.read_text("utf-8"))
            if fields["form"] != _FORM:
                raise ValueError(f"form {fields['form']}")  # noqa: TRY301 - as the parser's own
            return cls(
                directory=directory,
                chain_id=int(fields["chain_id"]),
                period_s=int(fields["period_s"]),
                first_signers=int(fields["first_signers"]),
                nodes=tuple(NodeCard.from_json(each) for each in fields["nodes"]),
                relayers=tuple(parse_address(bytes.fromhex(each[2:])) for each in fields["relayers"]),
            )
        except FileNotFoundError as exc:
            raise NetworkFolderRefused(
                f"there is no network in {directory}", remedy=f"Run `vgroup chain up --dir {directory}`."
            ) from exc
        except Exception as exc:
            raise NetworkFolderRefused(
                f"{path} does not describe a network: {exc!r}", remedy="Restore it from a backup."
            ) from exc


def is_network(directory: Path) -> bool:
    """Whether a folder holds a network."""
    return (directory / NETWORK_FILE).exists()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
