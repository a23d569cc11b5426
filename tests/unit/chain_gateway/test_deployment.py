"""The contract is recognised by its code, and its place is remembered."""

from pathlib import Path

import pytest

from chain_gateway.contract_check import check_contract
from chain_gateway.deployment import Deployment, read_deployment, write_deployment
from contracts import load_artifact
from group_protocol.errors import ConfigurationError, RegistryInconsistent
from group_protocol.identifiers import Address
from group_protocol.ports import RegistryIdentity
from group_protocol.typed_data import TypedDataDomain
from tests.support.model_node import CHAIN_ID, ModelNode

ARTIFACT = load_artifact()
IDENTITY = RegistryIdentity(CHAIN_ID, Address(b"\xc0" * 20))


def runtime_code(identity: RegistryIdentity = IDENTITY) -> bytes:
    """The code as the constructor leaves it: chain id and domain separator in the places of the immutable values."""
    code = bytearray(ARTIFACT.runtime_bytecode)
    words = (identity.chain_id.to_bytes(32, "big"), TypedDataDomain(identity).separator)
    for place, word in zip(ARTIFACT.immutable_references, words, strict=True):
        code[place.start : place.start + place.length_bytes] = word
    return bytes(code)


async def check(code: bytes, identity: RegistryIdentity = IDENTITY) -> None:
    model = ModelNode()
    model.answers["eth_getCode"] = f"0x{code.hex()}"
    await check_contract(model.connect_gateway(), ARTIFACT, identity)


async def test_our_contract_is_accepted() -> None:
    await check(runtime_code())


async def test_no_contract_is_inconsistent() -> None:
    with pytest.raises(RegistryInconsistent, match="no contract"):
        await check(b"")


@pytest.mark.parametrize("at", [0, 1_000, -1])
async def test_contract_with_a_byte_changed_is_inconsistent(at: int) -> None:
    code = bytearray(runtime_code())
    code[at] ^= 1
    with pytest.raises(RegistryInconsistent):
        await check(bytes(code))


async def test_contract_with_a_byte_more_is_inconsistent() -> None:
    with pytest.raises(RegistryInconsistent):
        await check(runtime_code() + b"\0")


async def test_contract_set_up_for_another_address_is_inconsistent() -> None:
    elsewhere = RegistryIdentity(CHAIN_ID, Address(b"\xc1" * 20))
    with pytest.raises(RegistryInconsistent):
        await check(runtime_code(elsewhere))


async def test_other_chain_is_inconsistent() -> None:
    elsewhere = RegistryIdentity(CHAIN_ID + 1, IDENTITY.contract)
    with pytest.raises(RegistryInconsistent, match="chain has id"):
        await check(runtime_code(elsewhere), elsewhere)


def test_deployment_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    assert read_deployment(path) is None
    write_deployment(path, Deployment(IDENTITY, 7))
    assert read_deployment(path) == Deployment(IDENTITY, 7)
    write_deployment(path, Deployment(IDENTITY, 8))
    assert read_deployment(path) == Deployment(IDENTITY, 8)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "not json",
        '{"chain_id": 1, "contract": "0xc0", "block_number": 1}',
        '{"chain_id": 1, "contract": 7, "block_number": 1}',
        '{"chain_id": "1", "contract": "0xc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", "block_number": 1}',
        '{"chain_id": 1, "contract": "0xc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", "block_number": -1}',
        '{"chain_id": true, "contract": "0xc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", "block_number": 1}',
    ],
)
def test_damaged_record_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        read_deployment(path)
