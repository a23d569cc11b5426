"""Whatever a node does, its callers see one of our errors."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError
from web3 import AsyncWeb3
from web3.exceptions import BadResponseFormat

from chain_gateway.errors import (
    AlreadyKnown,
    CallReverted,
    CannotPay,
    LogRangeRefused,
    NonceAhead,
    NonceTaken,
    NonceUsed,
    TransactionRefused,
    Underpriced,
)
from chain_gateway.node import ChainNode
from chain_gateway.node_answers import UnusableAnswer
from group_protocol.errors import RegistryUnavailable
from tests.support.contract_logs import CONTRACT
from tests.support.model_node import ModelNode, RpcFault


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionRefusedError("refused"),
        ClientConnectionError("gone"),
        ClientPayloadError("cut"),
        TimeoutError(),
        BadResponseFormat("not JSON-RPC"),
        RpcFault(-32603, "internal error"),
        RpcFault(-32601, "the method does not exist"),
    ],
    ids=repr,
)
async def test_failing_node_is_unavailable(failure: Exception) -> None:
    model = ModelNode()
    model.fail_next("eth_chainId", failure)
    with pytest.raises(RegistryUnavailable) as caught:
        await model.connect_gateway().fetch_chain_id()
    assert caught.value.remedy


async def test_node_that_never_answers_is_unavailable() -> None:
    class SilentNode(ModelNode):
        async def make_request(self, method: Any, params: Any) -> Any:  # noqa: ARG002 - web3's signature
            await asyncio.Event().wait()

    node = ChainNode(AsyncWeb3(SilentNode()), request_timeout_s=0.01)
    with pytest.raises(RegistryUnavailable, match="in time"):
        await node.fetch_head()


@pytest.mark.parametrize("answer", [None, [], "yes", 7, {}, {"jsonrpc": "2.0", "id": 1}])
async def test_answer_that_is_no_json_rpc_is_unusable(answer: object) -> None:
    class OddNode(ModelNode):
        async def make_request(self, method: Any, params: Any) -> Any:  # noqa: ARG002 - web3's signature
            return answer

    with pytest.raises(UnusableAnswer):
        await OddNode().connect_gateway().fetch_chain_id()


@pytest.mark.parametrize(
    ("fault", "output"),
    [
        (RpcFault(3, "execution reverted", "0x01020304"), b"\x01\x02\x03\x04"),
        (RpcFault(-32000, "Execution reverted", "0x01020304"), b"\x01\x02\x03\x04"),
        (RpcFault(-32015, "VM execution error: reverted", "Reverted 0x01020304"), b"\x01\x02\x03\x04"),
        (RpcFault(3, "execution reverted"), b""),
        (RpcFault(3, "execution reverted", "0xno hex"), b""),
    ],
    ids=str,
)
async def test_revert_of_a_call_carries_what_the_contract_returned(fault: RpcFault, output: bytes) -> None:
    model = ModelNode()
    model.fail_next("eth_call", fault)
    with pytest.raises(CallReverted) as caught:
        await model.connect_gateway().call(CONTRACT, b"")
    assert caught.value.output == output


async def test_call_that_fails_otherwise_is_no_revert() -> None:
    model = ModelNode()
    model.fail_next("eth_call", RpcFault(-32000, "header not found"))
    with pytest.raises(RegistryUnavailable):
        await model.connect_gateway().call(CONTRACT, b"")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("nonce too low: next nonce 5, tx nonce 4", NonceUsed),
        ("Nonce too low", NonceUsed),
        ("nonce too high: next nonce 4, tx nonce 5", NonceAhead),
        ("Nonce too high", NonceAhead),
        ("Transaction nonce is too distant from current sender nonce", NonceAhead),
        ("replacement transaction underpriced", NonceTaken),
        ("Replacement transaction underpriced", NonceTaken),
        ("future transaction tries to replace pending", NonceTaken),
        ("already known", AlreadyKnown),
        ("Known transaction", AlreadyKnown),
        ("transaction underpriced: tip needed 2, tip permitted 1", Underpriced),
        ("max fee per gas less than block base fee: address 0x0, maxFeePerGas: 1, baseFee: 7", Underpriced),
        ("Gas price below configured minimum gas price", Underpriced),
        ("Gas price below current base fee", Underpriced),
        ("Upfront cost exceeds account balance", CannotPay),
        ("transaction already imported", AlreadyKnown),
        ("insufficient funds for gas * price + value", CannotPay),
        ("exceeds block gas limit", TransactionRefused),
    ],
)
async def test_refusal_of_a_transaction_is_told_apart(message: str, kind: type[TransactionRefused]) -> None:
    model = ModelNode()
    model.fail_next("eth_sendRawTransaction", RpcFault(-32000, message))
    with pytest.raises(TransactionRefused) as caught:
        await model.connect_gateway().send(b"\x02")
    assert type(caught.value) is kind


async def test_refused_range_of_logs_may_be_asked_for_in_parts() -> None:
    node = ModelNode(log_range_max=2).connect_gateway()
    with pytest.raises(LogRangeRefused):
        await node.fetch_logs(CONTRACT, 0, 2)
    assert await node.fetch_logs(CONTRACT, 0, 1) == []


async def test_refused_logs_of_one_block_are_unavailable() -> None:
    with pytest.raises(RegistryUnavailable):
        await ModelNode(log_range_max=0).connect_gateway().fetch_logs(CONTRACT, 0, 0)


async def test_block_of_another_number_than_asked_for_is_unusable() -> None:
    model = ModelNode()
    model.mine()
    model.answers["eth_getBlockByNumber"] = model._eth_getBlockByNumber("0x0", None)
    with pytest.raises(UnusableAnswer):
        await model.connect_gateway().fetch_block(1)


async def test_fees_follow_the_chain() -> None:
    london = await ModelNode(base_fee_wei=7).connect_gateway().fetch_fees()
    assert (london.max_fee_wei, london.tip_wei) == (15, 1)
    legacy = await ModelNode(base_fee_wei=None).connect_gateway().fetch_fees()
    assert (legacy.max_fee_wei, legacy.tip_wei) == (0, None)


async def test_words_of_a_node_stay_short_and_on_one_line() -> None:
    model = ModelNode()
    model.fail_next("eth_chainId", RpcFault(-32000, "first\nsecond \x1b[31m" + "x" * 10_000))
    with pytest.raises(RegistryUnavailable) as caught:
        await model.connect_gateway().fetch_chain_id()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


async def test_node_gets_a_bounded_number_of_requests_at_once() -> None:
    class CountingNode(ModelNode):
        now = most = 0

        async def make_request(self, method: Any, params: Any) -> Any:
            self.now += 1
            self.most = max(self.most, self.now)
            answer = await super().make_request(method, params)
            self.now -= 1
            return answer

    model = CountingNode()
    node = ChainNode(AsyncWeb3(model), request_timeout_s=5, requests_at_once=3)
    await asyncio.gather(*(node.fetch_chain_id() for _ in range(20)))
    assert model.most == 3
