"""What `vgroup chain` writes and reads, without geth."""

import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account

from chain_gateway.network import ChainNetwork, NetworkLayout, NewNetwork
from chain_gateway.network.cards import MemberCard, compose, make_member
from chain_gateway.network.errors import GethMissing, NetworkFolderRefused
from chain_gateway.network.geth import find_geth
from chain_gateway.network.health import NodeHealth, find_problems
from chain_gateway.network.lifecycle import BEGINS_AFTER_S
from chain_gateway.network.node_files import make_node_keys, peers_file, start_script
from chain_gateway.network.processes import find_process
from chain_gateway.private_files import read_relayer
from tests.support.seeded import SeededRandom


@pytest.fixture
def network(tmp_path: Path) -> ChainNetwork:
    return ChainNetwork.create(tmp_path / "net", NewNetwork(relayers=2), SeededRandom(1))


def test_created_network_is_read_back_as_it_was(network: ChainNetwork) -> None:
    assert NetworkLayout.read(network.layout.directory) == network.layout


def genesis_time_unix_s(network: ChainNetwork) -> int:
    return int(json.loads(network.layout.genesis.read_text()).get("timestamp", "0x0"), 16)


def test_chain_of_several_signers_begins_when_they_can_be_up_and_that_of_one_at_once(tmp_path: Path) -> None:
    before_unix_s = int(time.time())
    several = ChainNetwork.create(tmp_path / "several", NewNetwork(signers=3), SeededRandom(1))
    assert before_unix_s + BEGINS_AFTER_S <= genesis_time_unix_s(several) <= time.time() + BEGINS_AFTER_S
    alone = ChainNetwork.create(tmp_path / "alone", NewNetwork(signers=1), SeededRandom(1))
    assert genesis_time_unix_s(alone) == 0


def test_genesis_names_every_signer_and_funds_every_relayer(network: ChainNetwork) -> None:
    genesis = json.loads(network.layout.genesis.read_text())
    signers = b"".join(sorted(card.account for card in network.layout.nodes))
    assert genesis["extraData"] == "0x" + "00" * 32 + signers.hex() + "00" * 65
    assert list(genesis["alloc"]) == [f"0x{address.hex()}" for address in network.layout.relayers]


def test_keystore_opens_with_the_password_beside_it_to_the_account_of_the_card(network: ChainNetwork) -> None:
    card = network.layout.nodes[0]
    folder = network.layout.folder(card)
    (keystore,) = folder.keystore.iterdir()
    secret = Account.decrypt(json.loads(keystore.read_text()), folder.password.read_text().strip())
    assert bytes.fromhex(Account.from_key(secret).address[2:]) == card.account


def test_relayer_key_is_one_that_the_gateway_takes(network: ChainNetwork) -> None:
    assert bytes.fromhex(read_relayer(network.layout.relayer_key(1)).address[2:]) == network.layout.relayers[1]


def test_every_secret_is_private(network: ChainNetwork) -> None:
    files = [path for path in network.layout.directory.rglob("*") if path.is_file()]
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_network_is_not_made_over_another(network: ChainNetwork) -> None:
    with pytest.raises(NetworkFolderRefused, match="already"):
        ChainNetwork.create(network.layout.directory, NewNetwork())


def test_folder_too_deep_for_a_unix_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkFolderRefused, match="too long for a Unix socket"):
        ChainNetwork.create(tmp_path / ("x" * 100), NewNetwork())


@pytest.mark.parametrize("content", ["", "[]", '{"form": 2}', '{"form": 1, "nodes": 3}'])
def test_damaged_description_is_refused(network: ChainNetwork, content: str) -> None:
    (network.layout.directory / "network.json").write_text(content)
    with pytest.raises(NetworkFolderRefused, match="does not describe a network"):
        ChainNetwork.open(network.layout.directory)


def test_start_script_is_valid_shell_and_its_json_rpc_has_no_power_over_the_node(network: ChainNetwork) -> None:
    card = network.layout.nodes[0]
    script = start_script(network.layout, card, Path("/opt/a geth"), 2)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert "--http.api eth,net,web3 " in script
    assert "--ws.api eth,net,web3 " in script
    assert "--http.addr 127.0.0.1" in script


def test_peers_file_names_every_other_node_and_the_own_address_alone(network: ChainNetwork) -> None:
    first, *others = network.layout.nodes
    text = peers_file(first, [card.enode for card in others])
    assert text.count("enode://") == 2
    assert 'ListenAddr = "127.0.0.1:30303"' in text


def test_ipv6_addresses_stand_in_brackets(network: ChainNetwork) -> None:
    card = replace(network.layout.nodes[0], p2p_host="::1", http_host="::1")
    assert 'ListenAddr = "[::1]:30303"' in peers_file(card, [])
    assert "@[::1]:30303" in card.enode
    assert card.url == "http://[::1]:8545"


def test_pid_that_went_to_another_program_is_no_running_node(network: ChainNetwork) -> None:
    folder = network.layout.folder(network.layout.nodes[0])
    folder.pid_file.write_text(f"{os.getpid()} 1\n")
    assert find_process(folder) is None
    folder.pid_file.write_text("rubbish")
    assert find_process(folder) is None


def geth_that_says(path: Path, answer: str) -> Path:
    path.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    path.chmod(0o700)
    return path


def test_geth_of_the_version_is_taken(tmp_path: Path) -> None:
    named = geth_that_says(tmp_path / "geth", "Geth\nVersion: 1.13.15-stable")
    assert find_geth(named) == named


@pytest.mark.parametrize("answer", ["Geth\nVersion: 1.14.0-stable", "Geth\nVersion: 1.13.14-stable", "hello"])
def test_geth_of_another_version_is_refused_with_the_way_to_the_right_one(tmp_path: Path, answer: str) -> None:
    with pytest.raises(GethMissing) as caught:
        find_geth(geth_that_says(tmp_path / "geth", answer))
    assert "make geth" in caught.value.remedy


def test_missing_geth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GethMissing):
        find_geth(tmp_path / "nowhere")


def make_cards(folder: Path) -> list[MemberCard]:
    cards = []
    for at in range(3):
        name = f"ward-{at}"
        p2p, http = (f"10.0.0.{at + 1}", 30303), ("127.0.0.1", 8545)
        made = make_member(folder / name, name, p2p=p2p, http=http, random=SeededRandom(at))
        read = MemberCard.read(folder / name / name / "card.json")
        assert read == made
        cards.append(read)
    return cards


def test_the_same_cards_in_any_order_give_the_same_genesis(tmp_path: Path) -> None:
    cards = make_cards(tmp_path)
    for at in range(3):
        compose(tmp_path / f"ward-{at}", cards[at:] + cards[:at], chain_id=7, period_s=2)
    for name in ("genesis.json", "besu-genesis.json", "besu-static-nodes.json"):
        assert len({(tmp_path / f"ward-{at}" / name).read_bytes() for at in range(3)}) == 1


def test_composed_network_has_one_node_here_and_knows_the_others(tmp_path: Path) -> None:
    cards = make_cards(tmp_path)
    layout = compose(tmp_path / "ward-1", cards, chain_id=7, period_s=2).layout
    assert [card.name for card in layout.nodes_here] == ["ward-1"]
    assert [card.name for card in layout.nodes] == ["ward-0", "ward-1", "ward-2"]


def test_cards_without_ones_own_and_cards_of_one_name_are_refused(tmp_path: Path) -> None:
    cards = make_cards(tmp_path)
    with pytest.raises(NetworkFolderRefused, match="none of these nodes"):
        compose(tmp_path / "ward-1", [cards[0], cards[2]], chain_id=7, period_s=2)
    with pytest.raises(NetworkFolderRefused, match="same name"):
        compose(tmp_path / "ward-1", [cards[1], cards[1]], chain_id=7, period_s=2)


def test_two_nodes_never_share_a_folder(network: ChainNetwork) -> None:
    folder = network.layout.folder(network.layout.nodes[0])
    with pytest.raises(NetworkFolderRefused, match="not empty"):
        make_node_keys(folder, SeededRandom(2))


def healthy(network: ChainNetwork) -> list[NodeHealth]:
    signers = tuple(f"0x{card.account.hex()}" for card in network.layout.nodes)
    return [
        NodeHealth(
            card.name, card.url, 1, height=9, head="0x0", head_age_s=0.5, lag_blocks=0, peers=2, signers=signers,
            is_signer=True, is_sealing=True,
        )
        for card in network.layout.nodes
    ]  # fmt: skip


def test_network_with_nothing_wrong_has_no_problems(network: ChainNetwork) -> None:
    assert find_problems(network.layout, healthy(network)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lag_blocks": 4}, "node-3 is 4 blocks behind"),
        ({"peers": 1}, "node-3 sees 1 of 2 peers"),
        ({"is_sealing": False}, "node-3 is a signer and does not seal"),
        ({"height": None}, "node-3 does not answer"),
        ({"height": None, "pid": None}, "node-3 does not run"),
    ],
)
def test_each_thing_that_is_wrong_is_said(network: ChainNetwork, change: dict[str, int], problem: str) -> None:
    first, second, third = healthy(network)
    fields = {name: getattr(third, name) for name in NodeHealth.__slots__} | change
    assert find_problems(network.layout, [first, second, NodeHealth(**fields)]) == [problem]


def test_chain_that_stands_still_is_said_with_how_many_signers_are_here(network: ChainNetwork) -> None:
    first, *_ = healthy(network)
    fields = {name: getattr(first, name) for name in NodeHealth.__slots__} | {"head_age_s": 60.0}
    down = [NodeHealth(card.name, card.url, None) for card in network.layout.nodes[1:]]
    problems = find_problems(network.layout, [NodeHealth(**fields), *down])
    assert "the chain stands at block 9 since 60 s" in problems
    assert "1 of 3 signers are here; blocks take 2" in problems
