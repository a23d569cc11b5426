"""Answers of a node are parsed strictly."""

from typing import Any

import pytest

from chain_gateway.node_answers import (
    UnusableAnswer,
    parse_block,
    parse_bytes,
    parse_log,
    parse_quantity,
    parse_receipt,
)
from tests.support.contract_logs import make_log
from tests.support.model_node import log_json

BLOCK = {
    "number": "0x10",
    "hash": f"0x{'11' * 32}",
    "parentHash": f"0x{'22' * 32}",
    "timestamp": "0x6b49d200",
    "baseFeePerGas": "0x7",
    "gasLimit": "0x1c9c380",
}
LOG = log_json(make_log("Associated", gid=b"g" * 16, oid=b"o" * 16, account=b"a" * 20))
RECEIPT = {
    "transactionHash": f"0x{'33' * 32}",
    "blockNumber": "0x10",
    "blockHash": f"0x{'11' * 32}",
    "status": "0x1",
    "gasUsed": "0x5208",
    "contractAddress": None,
    "logs": [LOG],
}


@pytest.mark.parametrize("value", ["0x0", "0x1", "0xff", "0xFF", f"0x{'f' * 64}"])
def test_quantity_is_read_as_hex(value: str) -> None:
    assert parse_quantity(value) == int(value, 16)


@pytest.mark.parametrize(
    "value", ["0x", "0x00", "0x01", "12", "-0x1", "0x1 ", " 0x1", "0xg", "0x1\n", 1, None, True, []]
)
def test_quantity_of_other_form_is_refused(value: Any) -> None:
    with pytest.raises(UnusableAnswer):
        parse_quantity(value)


def test_quantity_above_256_bits_is_refused() -> None:
    with pytest.raises(UnusableAnswer):
        parse_quantity(f"0x1{'0' * 64}")


@pytest.mark.parametrize("value", ["0x1", "00", "0xzz", "0x 0", "0x00\n", 0, None, b"\0"])
def test_bytes_of_other_form_are_refused(value: Any) -> None:
    with pytest.raises(UnusableAnswer):
        parse_bytes(value)


def test_bytes_of_other_length_are_refused() -> None:
    assert parse_bytes("0x0102", 2) == b"\x01\x02"
    with pytest.raises(UnusableAnswer):
        parse_bytes("0x0102", 3)


def test_block_without_base_fee_is_of_a_chain_without_one() -> None:
    assert parse_block(BLOCK).base_fee_wei == 7
    assert parse_block({name: value for name, value in BLOCK.items() if name != "baseFeePerGas"}).base_fee_wei is None


@pytest.mark.parametrize("name", ["number", "hash", "parentHash", "timestamp", "gasLimit"])
def test_block_without_a_field_is_refused(name: str) -> None:
    with pytest.raises(UnusableAnswer):
        parse_block({each: value for each, value in BLOCK.items() if each != name})


@pytest.mark.parametrize("name", [name for name in LOG if name != "removed"])
def test_log_without_a_field_is_refused(name: str) -> None:
    with pytest.raises(UnusableAnswer):
        parse_log({each: value for each, value in LOG.items() if each != name})


@pytest.mark.parametrize(
    "change",
    [
        {"removed": True},
        {"topics": ["0x00"]},
        {"topics": [f"0x{'00' * 32}"] * 5},
        {"topics": None},
        {"address": "0x00"},
        {"blockNumber": None},
        {"data": None},
    ],
    ids=str,
)
def test_log_with_a_wrong_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UnusableAnswer):
        parse_log(LOG | change)


@pytest.mark.parametrize("name", ["transactionHash", "blockNumber", "blockHash", "status", "gasUsed", "logs"])
def test_receipt_without_a_field_is_refused(name: str) -> None:
    with pytest.raises(UnusableAnswer):
        parse_receipt({each: value for each, value in RECEIPT.items() if each != name})


def test_receipt_of_a_reverted_transaction_says_so() -> None:
    assert parse_receipt(RECEIPT).succeeded
    assert not parse_receipt(RECEIPT | {"status": "0x0"}).succeeded


@pytest.mark.parametrize("value", [None, [], "0x0", 7])
def test_answer_that_is_no_object_is_refused(value: object) -> None:
    for parse in (parse_block, parse_log, parse_receipt):
        with pytest.raises(UnusableAnswer):
            parse(value)
