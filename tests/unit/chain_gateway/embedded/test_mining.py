import random
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from eth_hash.auto import keccak
from hexbytes import HexBytes
from web3 import AsyncWeb3
from web3.exceptions import Web3RPCError

from chain_gateway.embedded import EmbeddedChain
from chain_gateway.embedded.errors import RpcError
from chain_gateway.embedded.evm import BLOCK_GAS_TARGET, EmbeddedVm
from tests.support.recorder_contract import REFUSED_WORD, signed
from tests.unit.chain_gateway.embedded.conftest import CHAIN_ID, Recorder, SetClock


def _mine_all(recorder: Recorder, raws: list[bytes]) -> list[HexBytes]:
    answers = _mine(recorder, raws)
    hashes = [HexBytes(answer) for answer in answers if isinstance(answer, bytes)]
    assert len(hashes) == len(raws), answers
    return hashes


def _mine(recorder: Recorder, raws: list[bytes]) -> list[bytes | RpcError]:
    return recorder.chain.provider._miner.mine(raws)


async def test_transaction_is_mined_at_once_in_a_block_of_its_own(recorder: Recorder) -> None:
    before = await recorder.web3.eth.block_number
    receipt = await recorder.web3.eth.get_transaction_receipt(await recorder.record(5))
    assert (receipt["blockNumber"], receipt["status"]) == (before + 1, 1)
    assert await recorder.count() == 1


async def test_state_and_receipt_survive_reopening(recorder: Recorder, reopen: Callable[[], EmbeddedChain]) -> None:
    transaction_hash = await recorder.record(5)
    before = await recorder.web3.eth.get_transaction_receipt(transaction_hash)
    recorder.web3 = AsyncWeb3(reopen().provider)
    assert await recorder.web3.eth.get_transaction_receipt(transaction_hash) == before
    assert await recorder.count() == 1
    await recorder.record(6)
    assert await recorder.count() == 2


async def test_blocks_link_to_their_parents_by_hash(recorder: Recorder) -> None:
    for word in range(1, 4):
        await recorder.record(word)
    blocks = [await recorder.web3.eth.get_block(number) for number in range(5)]
    assert [block["parentHash"] for block in blocks[1:]] == [block["hash"] for block in blocks[:-1]]


async def test_blocks_of_one_second_share_its_timestamp(recorder: Recorder, clock: SetClock) -> None:
    for word in range(1, 6):
        await recorder.record(word)
    assert (await recorder.web3.eth.get_block("latest"))["timestamp"] == clock.now_unix_s


async def test_clock_set_back_neither_stops_the_chain_nor_takes_block_time_back(
    recorder: Recorder, clock: SetClock
) -> None:
    start = clock.now_unix_s
    times = []
    for now in (start + 10, start - 5000, start + 11):
        clock.now_unix_s = now
        await recorder.record(now)
        times.append((await recorder.web3.eth.get_block("latest"))["timestamp"])
    assert times == [start + 10, start + 10, start + 11]


async def test_gas_stays_free_in_blocks_filled_to_the_target(recorder: Recorder) -> None:
    each = BLOCK_GAS_TARGET // 2
    raws = [recorder.transaction(bytes(31) + bytes([i + 1]), gas=each) for i in range(4)]
    _mine_all(recorder, raws)
    assert (await recorder.web3.eth.get_block("latest"))["baseFeePerGas"] == 0
    assert await recorder.web3.eth.gas_price == 0


async def test_transactions_given_together_share_a_block_as_far_as_gas_allows(recorder: Recorder) -> None:
    before = await recorder.web3.eth.block_number
    raws = [recorder.transaction(bytes(31) + bytes([i + 1]), gas=BLOCK_GAS_TARGET // 3) for i in range(7)]
    answers = _mine_all(recorder, raws)
    blocks = [(await recorder.web3.eth.get_transaction_receipt(each))["blockNumber"] for each in answers]
    assert blocks == sorted(blocks)
    assert len(set(blocks)) < 7
    assert await recorder.web3.eth.block_number == blocks[-1]
    assert blocks[0] == before + 1
    assert await recorder.count() == 7


async def test_receipts_in_one_block_count_gas_and_logs_through(recorder: Recorder) -> None:
    answers = _mine_all(recorder, [recorder.transaction(bytes(31) + bytes([i + 1])) for i in range(3)])
    receipts = [await recorder.web3.eth.get_transaction_receipt(each) for each in answers]
    assert [receipt["transactionIndex"] for receipt in receipts] == [0, 1, 2]
    assert [receipt["logs"][0]["logIndex"] for receipt in receipts] == [0, 1, 2]
    used = [receipt["gasUsed"] for receipt in receipts]
    assert [receipt["cumulativeGasUsed"] for receipt in receipts] == [sum(used[: i + 1]) for i in range(3)]
    block = await recorder.web3.eth.get_block("latest")
    assert block["gasUsed"] == sum(used)


async def test_reverted_transaction_stands_in_a_block_with_status_zero(recorder: Recorder) -> None:
    raw = recorder.transaction(REFUSED_WORD)
    receipt = await recorder.web3.eth.get_transaction_receipt(await recorder.web3.eth.send_raw_transaction(raw))
    assert (receipt["status"], receipt["logs"]) == (0, [])
    assert await recorder.count() == 0


async def test_refused_transactions_leave_their_neighbours_in_place(recorder: Recorder) -> None:
    first = recorder.transaction(bytes(31) + b"\x01")
    second = recorder.transaction(bytes(31) + b"\x02")
    answers = _mine(recorder, [b"\x02junk", first, first, b"", second])
    assert [isinstance(answer, bytes) for answer in answers] == [False, True, False, False, True]
    assert "nonce too low" in str(answers[2])
    assert await recorder.count() == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chain_id": 1}, "invalid chain id: have 1 want 1337"),
        ({"tx_nonce": 0}, "nonce too low: next nonce 1, tx nonce 0"),
        ({"tx_nonce": 9}, "nonce too high: next nonce 1, tx nonce 9"),
        ({"gas": BLOCK_GAS_TARGET + 1}, "exceeds block gas limit"),
        ({"gas": 20_000}, "intrinsic gas too low: have 20000, want 21000"),
        ({"payload": b"\xff" * 100, "gas": 24_000}, "intrinsic gas too low: have 24000, want 25000"),
        ({"payload": bytes(129 * 1024), "gas": 10_000_000}, "a transaction has 1 to 131072 bytes"),
    ],
    ids=[
        "chain-id",
        "nonce-low",
        "nonce-high",
        "gas-above-block",
        "gas-below-intrinsic",
        "gas-below-calldata-floor",
        "too-long",
    ],
)
async def test_unfit_transaction_is_refused_with_its_reason_and_no_block(
    recorder: Recorder, fields: dict[str, int | bytes], message: str
) -> None:
    before = await recorder.web3.eth.block_number
    raw = signed(recorder.chain.relayer, **{"chain_id": CHAIN_ID, "tx_nonce": 1, "to": bytes(20), **fields})  # type: ignore[arg-type]
    with pytest.raises(Web3RPCError, match=message):
        await recorder.web3.eth.send_raw_transaction(raw)
    assert await recorder.web3.eth.block_number == before


async def test_legacy_transaction_without_chain_id_is_refused(recorder: Recorder) -> None:
    fields: dict[str, Any] = {"nonce": 1, "gas": 50_000, "gasPrice": 0, "to": bytes(20), "value": 0, "data": b""}
    raw = recorder.chain.relayer.sign_transaction(fields).raw_transaction
    with pytest.raises(Web3RPCError, match="invalid chain id"):
        await recorder.web3.eth.send_raw_transaction(raw)


async def test_mutated_transactions_are_refused_or_mined_but_never_break_the_chain(recorder: Recorder) -> None:
    seeded = random.Random(7)
    whole = recorder.transaction(b"\x01" * 32)
    mutated = []
    for _ in range(400):
        raw = bytearray(whole)
        for _ in range(seeded.randrange(1, 4)):
            raw[seeded.randrange(len(raw))] = seeded.randrange(256)
        mutated.append(bytes(raw[: seeded.randrange(1, len(raw) + 1)] if seeded.random() < 0.3 else raw))
    answers = _mine(recorder, mutated)
    assert len(answers) == 400
    assert await recorder.web3.eth.get_transaction_count(recorder.chain.relayer.address) == 1
    await recorder.web3.eth.send_raw_transaction(whole)


async def test_transaction_that_the_virtual_machine_fails_on_is_kept_from_the_others(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raws = [recorder.transaction(bytes(31) + bytes([i + 1])) for i in range(5)]
    stranger = Account.from_key(b"\x05" * 32)
    bad = signed(stranger, chain_id=CHAIN_ID, tx_nonce=0, to=bytes(20))
    healthy = EmbeddedVm.apply_transaction

    def stumble(vm: EmbeddedVm, header: Any, transaction: Any) -> Any:
        if transaction.hash == keccak(bad):
            raise AssertionError("a bug in the virtual machine")
        return healthy(vm, header, transaction)

    monkeypatch.setattr(EmbeddedVm, "apply_transaction", stumble)
    answers = _mine(recorder, [*raws[:3], bad, *raws[3:]])
    assert [isinstance(answer, bytes) for answer in answers] == [True] * 3 + [False] + [True] * 2
    assert "a bug in the virtual machine" in caplog.text
    assert await recorder.count() == 5


async def test_full_disk_is_answered_as_an_error_keeps_the_head_and_heals(recorder: Recorder) -> None:
    connection: sqlite3.Connection = recorder.chain._store.connection
    before = await recorder.web3.eth.get_block("latest")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    words = iter(range(1, 1000))
    raw = recorder.transaction(next(words).to_bytes(32, "big"))
    filled = 0
    with pytest.raises(Web3RPCError, match="full"):  # noqa: PT012 - the pages that are there take some blocks
        while filled < 100:
            await recorder.web3.eth.send_raw_transaction(raw)
            raw = recorder.transaction(next(words).to_bytes(32, "big"))
            filled += 1
    assert await recorder.web3.eth.block_number == before["number"] + filled
    assert await recorder.count() == filled
    connection.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    await recorder.web3.eth.send_raw_transaction(raw)
    assert await recorder.count() == filled + 1
