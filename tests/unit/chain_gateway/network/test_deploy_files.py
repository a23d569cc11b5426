"""The example files for several machines say what the program makes."""

import json
from pathlib import Path
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]

from chain_gateway.network.genesis import CHAIN_ID, PERIOD_S, clique_genesis, qbft_genesis
from group_protocol.identifiers import Address

POA = Path(__file__).resolve().parents[4] / "deploy" / "poa"
SIGNERS = [Address(bytes([byte]) * 20) for byte in (0x33, 0x11, 0x22)]
RELAYERS = [Address(bytes([byte]) * 20) for byte in (0xA1, 0xA2, 0xA3)]
QBFT_OF_ONE = "f83aa00000000000000000000000000000000000000000000000000000000000000000d594" + "11" * 20 + "c080c0"
"""By hand, from the RLP of the yellow paper: a list of 58 bytes; 32 bytes; a list of one address; [], 0, []."""


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((POA / name).read_text("utf-8"))
    return found


def test_clique_example_is_what_chain_up_would_make_of_these_accounts() -> None:
    made = clique_genesis(chain_id=CHAIN_ID, period_s=PERIOD_S, signers=SIGNERS, funded=RELAYERS)
    assert example("genesis.example.json") == made
    assert made["extraData"] == "0x" + "00" * 32 + "11" * 20 + "22" * 20 + "33" * 20 + "00" * 65


def test_besu_example_is_what_compose_would_make_of_these_accounts() -> None:
    made = qbft_genesis(chain_id=CHAIN_ID, period_s=PERIOD_S, validators=SIGNERS, funded=RELAYERS)
    assert example("besu/genesis.example.json") == made


def test_both_chains_have_the_same_id_period_gas_and_rich_accounts() -> None:
    clique, qbft = example("genesis.example.json"), example("besu/genesis.example.json")
    for same in ("gasLimit", "alloc", "difficulty"):
        assert clique[same] == qbft[same]
    assert clique["config"]["chainId"] == qbft["config"]["chainId"]
    assert clique["config"]["clique"]["period"] == qbft["config"]["qbft"]["blockperiodseconds"]
    assert clique["config"]["clique"]["epoch"] == qbft["config"]["qbft"]["epochlength"]


def test_qbft_extra_data_of_one_validator_is_the_one_written_by_hand() -> None:
    made = qbft_genesis(chain_id=1, period_s=1, validators=[SIGNERS[1]], funded=[])
    assert made["extraData"] == f"0x{QBFT_OF_ONE}"


def test_qbft_extra_data_decodes_to_vanity_validators_in_order_and_nothing_else() -> None:
    vanity, validators, vote, round_number, seals = rlp.decode(
        bytes.fromhex(example("besu/genesis.example.json")["extraData"][2:])
    )
    assert (vanity, vote, round_number, seals) == (bytes(32), [], b"", [])
    assert validators == sorted(SIGNERS)


@pytest.mark.parametrize("name", ["compose.yaml", "besu/compose.yaml"])
def test_container_runs_without_rights_and_its_json_rpc_is_nobody_elses(name: str) -> None:
    text = (POA / name).read_text("utf-8")
    for line in (
        "network_mode: host",
        "read_only: true",
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
    ):
        assert line in text
    assert "0.0.0.0" not in text  # noqa: S104 - that it is not there is the point
