from typing import Any

import pytest
from eth_hash.auto import keccak
from hexbytes import HexBytes
from web3.exceptions import BlockNotFound, ContractCustomError, ContractLogicError, TransactionNotFound, Web3RPCError
from web3.types import RPCEndpoint, RPCResponse

from chain_gateway.embedded import EmbeddedChain, archive
from chain_gateway.embedded.evm import BLOCK_GAS_TARGET
from tests.support.recorder_contract import CREATION, RECORDED, REFUSAL, REFUSED_WORD, RUNTIME, signed
from tests.unit.chain_gateway.embedded.conftest import CHAIN_ID, Recorder, SetClock

UNKNOWN_HASH = "0x" + "12" * 32


async def _ask(chain: EmbeddedChain, method: str, *params: Any) -> RPCResponse:
    return await chain.provider.make_request(RPCEndpoint(method), params)


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


async def test_chain_names_itself(chain: EmbeddedChain) -> None:
    answers = {
        method: (await _ask(chain, method))["result"]
        for method in ("eth_chainId", "net_version", "eth_syncing", "eth_accounts", "eth_gasPrice", "eth_blockNumber")
    }
    assert answers == {
        "eth_chainId": hex(CHAIN_ID),
        "net_version": str(CHAIN_ID),
        "eth_syncing": False,
        "eth_accounts": [],
        "eth_gasPrice": "0x0",
        "eth_blockNumber": "0x0",
    }


async def test_unknown_method_is_refused(chain: EmbeddedChain) -> None:
    assert (await _ask(chain, "eth_sign"))["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getCode", []),
        ("eth_getCode", ["0x12", "latest"]),
        ("eth_getCode", ["0x" + "1g" * 20, "latest"]),
        ("eth_getCode", [None, "latest"]),
        ("eth_getCode", ["0x" + "11" * 20, "newest"]),
        ("eth_getCode", ["0x" + "11" * 20, -1]),
        ("eth_getCode", ["0x" + "11" * 20, "latest", "more"]),
        ("eth_getStorageAt", ["0x" + "11" * 20, hex(2**256), "latest"]),
        ("eth_getTransactionReceipt", ["0x12"]),
        ("eth_call", ["0x12", "latest"]),
        ("eth_call", [{"to": "0x12"}, "latest"]),
        ("eth_getLogs", ["all"]),
        ("eth_getLogs", [{"topics": ["0x12"]}]),
        ("eth_getLogs", [{"topics": [None] * 5}]),
        ("eth_getLogs", [{"address": ["0x" + "11" * 20] * 1001}]),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}]),
        ("eth_sendRawTransaction", []),
        ("eth_sendRawTransaction", ["0xnothex"]),
    ],
)
async def test_wrong_parameters_are_refused(chain: EmbeddedChain, method: str, params: list[Any]) -> None:
    assert (await _ask(chain, method, *params))["error"]["code"] == -32602


async def test_custom_error_reaches_web3_with_its_data_from_call_and_estimate(recorder: Recorder) -> None:
    call = {"to": recorder.checksum_address, "data": HexBytes(REFUSED_WORD)}
    asks: list[Any] = [recorder.web3.eth.call, recorder.web3.eth.estimate_gas]
    for ask in asks:
        with pytest.raises(ContractCustomError) as refusal:
            await ask(call)
        assert refusal.value.data == "0x" + (REFUSAL + REFUSED_WORD).hex()


async def test_error_string_reaches_web3_as_its_text(recorder: Recorder) -> None:
    encoded = bytes.fromhex("08c379a0") + _word(32) + _word(3) + b"why".ljust(32, b"\0")
    # Creation code that stores the encoded words in memory and reverts with them.
    code = b"".join(
        b"\x7f" + encoded[i : i + 32].ljust(32, b"\0") + b"\x60" + bytes([i]) + b"\x52" for i in range(0, 100, 32)
    )
    with pytest.raises(ContractLogicError, match="execution reverted: why"):
        await recorder.web3.eth.call({"data": HexBytes(code + bytes.fromhex("60645ffd"))})


async def test_call_that_runs_out_of_gas_is_an_error_without_data(recorder: Recorder) -> None:
    answer = await _ask(recorder.chain, "eth_call", {"to": recorder.address, "data": _word(1), "gas": 22_000})
    assert answer["error"]["code"] == -32000
    assert "data" not in answer["error"]


async def test_calls_leave_no_trace(recorder: Recorder) -> None:
    before = await recorder.web3.eth.get_block("latest")
    await recorder.web3.eth.call({"to": recorder.checksum_address, "data": HexBytes(_word(1))})
    assert await recorder.count() == 0
    assert await recorder.web3.eth.get_block("latest") == before


async def test_call_is_dated_by_the_clock_and_not_by_the_newest_block(chain: EmbeddedChain, clock: SetClock) -> None:
    clock.now_unix_s += 500
    timestamp = bytes.fromhex("425f5260205ff3")  # return block.timestamp
    answer = await _ask(chain, "eth_call", {"data": timestamp}, "latest")
    assert int(answer["result"], 16) == clock.now_unix_s


async def test_gas_estimate_is_what_the_transaction_then_uses(recorder: Recorder) -> None:
    call = {"from": recorder.chain.relayer.address, "to": recorder.checksum_address, "data": HexBytes(_word(1))}
    estimate = await recorder.web3.eth.estimate_gas(call)  # type: ignore[arg-type]
    raw = recorder.transaction(_word(1), gas=estimate)
    receipt = await recorder.web3.eth.get_transaction_receipt(await recorder.web3.eth.send_raw_transaction(raw))
    assert (receipt["status"], receipt["gasUsed"]) == (1, estimate)


async def test_gas_estimate_covers_what_a_callee_must_be_left(recorder: Recorder) -> None:
    # Creation code that records a word through a call with all gas and reverts where that call fails (EIP-150's 1/64).
    code = bytes.fromhex("60015f525f5f60205f5f73") + recorder.address + bytes.fromhex("5af1602b575f5ffd5b00")
    jump = code.index(b"\x5b\x00", 30)
    code = code.replace(bytes.fromhex("602b57"), bytes([0x60, jump, 0x57]))
    estimate = int((await _ask(recorder.chain, "eth_estimateGas", {"data": code}))["result"], 16)
    raw = signed(recorder.chain.relayer, chain_id=CHAIN_ID, tx_nonce=1, payload=code, gas=estimate)
    receipt = await recorder.web3.eth.get_transaction_receipt(await recorder.web3.eth.send_raw_transaction(raw))
    assert receipt["status"] == 1
    assert await recorder.count() == 1


async def test_gas_estimate_of_long_calldata_reaches_the_floor_of_eip_7623(recorder: Recorder) -> None:
    answer = await _ask(recorder.chain, "eth_estimateGas", {"to": "0x" + "77" * 20, "data": b"\xff" * 1000})
    assert int(answer["result"], 16) == 21_000 + 40 * 1000


async def test_code_storage_balance_and_tx_nonce_are_read_from_the_state(recorder: Recorder) -> None:
    await recorder.record(5)
    eth = recorder.web3.eth
    assert await eth.get_code(recorder.checksum_address) == RUNTIME
    assert int.from_bytes(await eth.get_storage_at(recorder.checksum_address, 0), "big") == 1
    assert await eth.get_balance(recorder.checksum_address) == 0
    assert await eth.get_transaction_count(recorder.chain.relayer.address) == 2
    assert await eth.get_transaction_count(recorder.chain.relayer.address, "pending") == 2


async def test_state_of_an_earlier_block_can_still_be_asked(recorder: Recorder) -> None:
    for word in range(1, 4):
        await recorder.record(word)
    counts = [
        int.from_bytes(await recorder.web3.eth.call({"to": recorder.checksum_address}, number), "big")
        for number in range(1, 5)
    ]
    assert counts == [0, 1, 2, 3]
    assert await recorder.web3.eth.get_code(recorder.checksum_address, "earliest") == b""


async def test_block_is_the_same_by_number_hash_and_tag(recorder: Recorder) -> None:
    await recorder.record(5)
    latest = await recorder.web3.eth.get_block("latest")
    assert await recorder.web3.eth.get_block(latest["number"]) == latest
    assert await recorder.web3.eth.get_block(latest["hash"]) == latest
    assert await recorder.web3.eth.get_block("finalized") == latest
    whole = (await _ask(recorder.chain, "eth_getBlockByNumber", "latest", True))["result"]
    assert [HexBytes(each["hash"]) for each in whole["transactions"]] == latest["transactions"]


async def test_unknown_blocks_and_transactions_are_not_found(recorder: Recorder) -> None:
    with pytest.raises(BlockNotFound):
        await recorder.web3.eth.get_block(99)
    with pytest.raises(BlockNotFound):
        await recorder.web3.eth.get_block(HexBytes(UNKNOWN_HASH))
    with pytest.raises(TransactionNotFound):
        await recorder.web3.eth.get_transaction(HexBytes(UNKNOWN_HASH))
    with pytest.raises(TransactionNotFound):
        await recorder.web3.eth.get_transaction_receipt(HexBytes(UNKNOWN_HASH))
    with pytest.raises(Web3RPCError, match="block not found"):
        await recorder.web3.eth.call({"to": recorder.checksum_address}, 99)


async def test_transaction_of_every_type_is_given_back_as_it_was_signed(recorder: Recorder) -> None:
    kinds: list[dict[str, Any]] = [
        {"gasPrice": 3},
        {"gasPrice": 3, "type": 1, "accessList": [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "33" * 32]}]},
        {"maxFeePerGas": 9, "maxPriorityFeePerGas": 4, "type": 2},
    ]
    for tx_nonce, kind in enumerate(kinds, recorder.next_tx_nonce):
        fields = {"chainId": CHAIN_ID, "nonce": tx_nonce, "gas": 60_000, "to": "0x" + "11" * 20, "value": 7, **kind}
        sent = recorder.chain.relayer.sign_transaction(fields)
        found = await recorder.web3.eth.get_transaction(
            await recorder.web3.eth.send_raw_transaction(sent.raw_transaction)
        )
        assert found["hash"] == keccak(sent.raw_transaction)
        assert (found["v"], int(found["r"].hex(), 16), int(found["s"].hex(), 16)) == (sent.v, sent.r, sent.s)
        assert (found["value"], found["nonce"], found["type"]) == (7, tx_nonce, kind.get("type", 0))
        assert found["gasPrice"] == (4 if kind.get("type") == 2 else 3)


async def test_creation_names_the_contract_it_made(recorder: Recorder) -> None:
    raw = signed(recorder.chain.relayer, chain_id=CHAIN_ID, tx_nonce=1, payload=CREATION, gas=300_000)
    receipt = await recorder.web3.eth.get_transaction_receipt(await recorder.web3.eth.send_raw_transaction(raw))
    assert receipt["contractAddress"] is not None
    assert await recorder.web3.eth.get_code(receipt["contractAddress"]) == RUNTIME


async def _log_words(recorder: Recorder, **wanted: Any) -> list[int]:
    logs = await recorder.web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest", **wanted})  # type: ignore[typeddict-item]
    return [int.from_bytes(log["topics"][1], "big") for log in logs]


async def test_logs_are_found_by_block_range_address_and_topics(recorder: Recorder) -> None:
    for word in range(1, 6):
        await recorder.record(word)
    hashes = [(await recorder.web3.eth.get_block(number))["hash"] for number in range(7)]
    assert await _log_words(recorder) == [1, 2, 3, 4, 5]
    assert await _log_words(recorder, fromBlock=3, toBlock=4) == [2, 3]
    assert await _log_words(recorder, fromBlock=5, toBlock=500) == [4, 5]
    assert await _log_words(recorder, address=recorder.checksum_address) == [1, 2, 3, 4, 5]
    assert await _log_words(recorder, address="0x" + "11" * 20) == []
    assert await _log_words(recorder, topics=[HexBytes(RECORDED)]) == [1, 2, 3, 4, 5]
    assert await _log_words(recorder, topics=[None, [HexBytes(_word(2)), HexBytes(_word(4))]]) == [2, 4]
    assert await _log_words(recorder, topics=[HexBytes(RECORDED), HexBytes(_word(9))]) == []
    assert await _log_words(recorder, topics=[None, None, None]) == []
    by_hash = await recorder.web3.eth.get_logs({"blockHash": HexBytes(hashes[3])})
    assert [(log["blockNumber"], log["blockHash"]) for log in by_hash] == [(3, hashes[3])]


async def test_log_filter_without_blocks_means_the_newest_block(recorder: Recorder) -> None:
    await recorder.record(1)
    await recorder.record(2)
    answer = await _ask(recorder.chain, "eth_getLogs", {})
    assert [int(log["topics"][1], 16) for log in answer["result"]] == [2]


async def test_receipt_carries_the_same_logs_as_the_log_query(recorder: Recorder) -> None:
    receipt = await recorder.web3.eth.get_transaction_receipt(await recorder.record(5))
    assert receipt["logs"] == await recorder.web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"})
    assert receipt["logs"][0]["data"] == _word(1)
    assert receipt["logsBloom"] == (await recorder.web3.eth.get_block("latest"))["logsBloom"]


async def test_query_for_too_many_logs_is_refused(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_LOGS", 3)
    for word in range(1, 5):
        await recorder.record(word)
    with pytest.raises(Web3RPCError, match="more than"):
        await _log_words(recorder)
    assert await _log_words(recorder, fromBlock=3) == [2, 3, 4]


async def test_block_gas_limit_is_twice_what_a_transaction_may_use(chain: EmbeddedChain) -> None:
    block = (await _ask(chain, "eth_getBlockByNumber", "latest"))["result"]
    assert int(block["gasLimit"], 16) == 2 * BLOCK_GAS_TARGET
