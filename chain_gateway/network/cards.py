"""A network over several machines: each makes its own node and shows a card; whoever has all the cards has the genesis.

No private key leaves its machine. The same cards give the same genesis everywhere, whatever their order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chain_gateway.network.errors import NetworkFolderRefused
from chain_gateway.network.genesis import clique_genesis, qbft_genesis
from chain_gateway.network.layout import CARD_FILE, NetworkLayout, NodeCard, NodeFolder, is_network
from chain_gateway.network.lifecycle import ChainNetwork, write_genesis
from chain_gateway.network.node_files import make_node_keys, make_relayer_key
from group_protocol.crypto.keys import derive_address
from group_protocol.identifiers import Address, parse_address
from group_protocol.ports import Random
from system_ports.private_files import replace_private_file

BESU_GENESIS: Final = "besu-genesis.json"
BESU_PEERS: Final = "besu-static-nodes.json"


@dataclass(frozen=True, slots=True)
class MemberCard:
    """What a machine shows to the others.

    Attributes:
        relayer: The account that its gateways send from; it begins with ether.
    """

    node: NodeCard
    relayer: Address

    def to_json(self) -> dict[str, Any]:
        """For the card's file."""
        return {**self.node.to_json(), "relayer": f"0x{self.relayer.hex()}"}

    @classmethod
    def read(cls, path: Path) -> "MemberCard":
        """A card from its file. Raises NetworkFolderRefused."""
        try:
            fields = json.loads(path.read_text("utf-8"))
            return cls(NodeCard.from_json(fields), parse_address(bytes.fromhex(fields["relayer"][2:])))
        except Exception as exc:
            raise NetworkFolderRefused(
                f"{path} is no node's card: {exc!r}", remedy="`vgroup chain make-node` on the other machine writes it."
            ) from exc


def make_member(
    directory: Path, name: str, *, p2p: tuple[str, int], http: tuple[str, int], random: Random
) -> MemberCard:
    """Make this machine's node and relayer, and write its card, ``NAME/card.json``.

    Raises:
        NetworkFolderRefused: There is a node of that name already.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = NodeFolder(directory / name)
    account, enode_key = make_node_keys(folder, random)
    relayer = make_relayer_key(directory / "relayers" / "relayer-1.key", random)
    card = MemberCard(NodeCard(name, account, enode_key, *p2p, *http), relayer)
    replace_private_file(folder.path / CARD_FILE, json.dumps(card.to_json(), indent=2).encode() + b"\n")
    return card


def compose(directory: Path, cards: Sequence[MemberCard], *, chain_id: int, period_s: int) -> ChainNetwork:
    """Make a network out of everybody's cards: description and genesis; for Besu too.

    Raises:
        NetworkFolderRefused: There is a network already, two cards have one name, or none of the nodes is here.
    """
    if is_network(directory):
        raise NetworkFolderRefused(f"there is a network in {directory} already")
    ordered = sorted(cards, key=lambda card: card.node.name)
    names = [card.node.name for card in ordered]
    if len(set(names)) < len(names):
        raise NetworkFolderRefused("two cards have the same name", remedy="Make one of the nodes anew, with --name.")
    layout = NetworkLayout(
        directory, chain_id, period_s, len(ordered),
        tuple(card.node for card in ordered), tuple(card.relayer for card in ordered),
    )  # fmt: skip
    if not layout.nodes_here:
        raise NetworkFolderRefused(
            f"none of these nodes is in {directory}",
            remedy="Run `vgroup chain make-node` here first, and pass its card too.",
        )
    accounts, relayers = [card.account for card in layout.nodes], list(layout.relayers)
    write_genesis(
        layout.genesis, clique_genesis(chain_id=chain_id, period_s=period_s, signers=accounts, funded=relayers)
    )
    write_besu_files(layout)
    layout.write()
    return ChainNetwork(layout)


def write_besu_files(layout: NetworkLayout) -> None:
    """The same network for Besu, where a validator's account is that of its node key."""
    validators = [derive_address(b"\x04" + card.enode_key) for card in layout.nodes]
    genesis = qbft_genesis(
        chain_id=layout.chain_id, period_s=layout.period_s, validators=validators, funded=layout.relayers
    )
    write_genesis(layout.directory / BESU_GENESIS, genesis)
    enodes = [card.enode for card in layout.nodes]
    replace_private_file(layout.directory / BESU_PEERS, json.dumps(enodes, indent=2).encode() + b"\n")
