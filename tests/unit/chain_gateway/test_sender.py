"""The transaction sender gets every call into a block, whatever becomes of its tx_nonce."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account

from chain_gateway.config import SenderTimes
from chain_gateway.journal import TransactionJournal
from chain_gateway.node_answers import RawReceipt
from chain_gateway.sender import TransactionSender
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from tests.support.contract_logs import CONTRACT
from tests.support.model_node import CHAIN_ID, ModelNode, RpcFault
from tests.support.waiting import until

QUICK = SenderTimes(receipt_timeout_s=60, first_poll_s=0.001, longest_poll_s=0.002, rebroadcast_s=0.005)
RELAYER = Account.from_key(b"\x01" * 32)
GAS_LIMIT = 100_000


@pytest.fixture
def model() -> ModelNode:
    return ModelNode()


@pytest.fixture
async def sender(model: ModelNode) -> AsyncIterator[TransactionSender]:
    sender = make_sender(model)
    yield sender
    await sender.close()


def make_sender(model: ModelNode, times: SenderTimes = QUICK) -> TransactionSender:
    return TransactionSender(model.connect_gateway(), RELAYER, CHAIN_ID, times)


def sent_by_somebody_else(nonce: int) -> str:
    """Another process uses the relayer's key."""
    fields = {"chainId": CHAIN_ID, "nonce": nonce, "to": bytes(20), "value": 1, "gas": 21_000, "gasPrice": 100}
    return f"0x{Account.sign_transaction(fields, RELAYER.key).raw_transaction.hex()}"


async def test_calls_at_once_get_consecutive_nonces(model: ModelNode, sender: TransactionSender) -> None:
    receipts = await asyncio.gather(*(sender.send(CONTRACT, bytes([call]), GAS_LIMIT) for call in range(10)))
    assert len({receipt.transaction_hash for receipt in receipts}) == 10
    nonces = [transaction.nonce for block in model.blocks for transaction in block.transactions]
    assert nonces == list(range(10))


async def test_calls_wait_for_their_block_side_by_side(model: ModelNode, sender: TransactionSender) -> None:
    model.mines_at_once = False
    sending = [asyncio.create_task(sender.send(CONTRACT, bytes([call]), GAS_LIMIT)) for call in range(3)]
    await until(lambda: len(model.pool) == 3)
    block = model.mine()
    receipts = await asyncio.gather(*sending)
    assert {receipt.block_number for receipt in receipts} == {block.number}


async def test_chain_without_base_fee_gets_legacy_transactions() -> None:
    model = ModelNode(base_fee_wei=None)
    await make_sender(model).send(CONTRACT, b"", GAS_LIMIT)
    assert model.blocks[-1].transactions[0].raw[0] >= 0xC0


async def test_nonce_used_by_somebody_else_is_replaced(model: ModelNode, sender: TransactionSender) -> None:
    await sender.send(CONTRACT, b"first", GAS_LIMIT)
    model._eth_sendRawTransaction(sent_by_somebody_else(1))
    receipt = await sender.send(CONTRACT, b"second", GAS_LIMIT)
    assert model.blocks[receipt.block_number].transactions[0].nonce == 2


async def test_nonce_taken_in_the_pool_is_left_to_whose_it_is(model: ModelNode, sender: TransactionSender) -> None:
    await sender.send(CONTRACT, b"first", GAS_LIMIT)
    model.mines_at_once = False
    model._eth_sendRawTransaction(sent_by_somebody_else(1))
    sending = asyncio.create_task(sender.send(CONTRACT, b"second", GAS_LIMIT))
    await until(lambda: len(model.pool) == 2)
    model.mine()
    await sending
    assert [transaction.nonce for transaction in model.blocks[-1].transactions] == [1, 2]


async def test_call_whose_nonce_went_to_another_in_a_block_is_sent_again(
    model: ModelNode, sender: TransactionSender
) -> None:
    model.mines_at_once = False
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    model.pool.clear()
    model._eth_sendRawTransaction(sent_by_somebody_else(0))
    model.mine()
    await until(lambda: 1 in model.pool)
    model.mine()
    await sending
    assert model.nonce == 2


async def test_call_that_the_pool_lost_is_sent_again(model: ModelNode, sender: TransactionSender) -> None:
    model.mines_at_once = False
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    lost = model.pool.pop(0)
    await until(lambda: 0 in model.pool)
    assert model.pool[0] == lost
    model.mine()
    await sending


async def test_call_whose_block_was_replaced_lands_again(model: ModelNode, sender: TransactionSender) -> None:
    model.mines_at_once = False
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    model.mine()
    model.fork(1)
    await until(lambda: 0 in model.pool)
    model.mine()
    await sending
    assert model.nonce == 1


async def test_call_is_seen_through_when_the_caller_gives_up(model: ModelNode, sender: TransactionSender) -> None:
    model.mines_at_once = False
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    model.pool.clear()
    await until(lambda: 0 in model.pool)
    model.mine()
    model.mines_at_once = True
    await sender.send(CONTRACT, b"next", GAS_LIMIT)
    assert model.nonce == 2


async def test_gap_that_nobody_fills_is_filled_with_nothing(model: ModelNode, sender: TransactionSender) -> None:
    model.fail_next("eth_sendRawTransaction", RpcFault(-32000, "exceeds block gas limit"))
    refused, receipt = await asyncio.gather(
        sender.send(CONTRACT, b"first", GAS_LIMIT), sender.send(CONTRACT, b"second", GAS_LIMIT), return_exceptions=True
    )
    assert isinstance(refused, RegistryUnavailable)
    assert isinstance(receipt, RawReceipt)
    filler, second = model.blocks[-1].transactions
    assert (filler.nonce, second.nonce, second.transaction_hash) == (0, 1, receipt.transaction_hash)
    assert bytes(CONTRACT) not in filler.raw


async def test_lost_connection_while_sending_does_not_lose_the_call(
    model: ModelNode, sender: TransactionSender
) -> None:
    model.fail_next("eth_sendRawTransaction", ConnectionResetError("while sending"))
    receipt = await sender.send(CONTRACT, b"", GAS_LIMIT)
    assert receipt.succeeded


async def test_lost_connection_while_waiting_does_not_lose_the_call(
    model: ModelNode, sender: TransactionSender
) -> None:
    model.fail_next("eth_getTransactionReceipt", *[ConnectionResetError("while waiting")] * 3)
    assert (await sender.send(CONTRACT, b"", GAS_LIMIT)).succeeded


async def test_node_that_is_down_is_unavailable_and_nothing_is_sent(
    model: ModelNode, sender: TransactionSender
) -> None:
    model.is_down = True
    with pytest.raises(RegistryUnavailable):
        await sender.send(CONTRACT, b"", GAS_LIMIT)
    model.is_down = False
    await sender.send(CONTRACT, b"", GAS_LIMIT)
    assert model.nonce == 1


async def test_account_without_ether_is_named_in_the_remedy(model: ModelNode, sender: TransactionSender) -> None:
    model.fail_next("eth_sendRawTransaction", RpcFault(-32000, "insufficient funds for gas * price + value"))
    with pytest.raises(RegistryUnavailable) as caught:
        await sender.send(CONTRACT, b"", GAS_LIMIT)
    assert sender.address.hex() in caught.value.remedy


async def test_refused_call_does_not_leave_a_gap(model: ModelNode, sender: TransactionSender) -> None:
    model.fail_next("eth_sendRawTransaction", RpcFault(-32000, "exceeds block gas limit"))
    with pytest.raises(RegistryUnavailable):
        await sender.send(CONTRACT, b"", GAS_LIMIT)
    await sender.send(CONTRACT, b"", GAS_LIMIT)
    assert model.nonce == 1


async def test_call_in_no_block_in_time_is_unavailable_and_may_still_land(model: ModelNode) -> None:
    model.mines_at_once = False
    impatient = make_sender(model, SenderTimes(receipt_timeout_s=0.05, first_poll_s=0.001))
    with pytest.raises(RegistryUnavailable, match="may still land"):
        await impatient.send(CONTRACT, b"", GAS_LIMIT)
    assert 0 in model.pool


async def test_node_that_always_refuses_the_nonce_does_not_keep_the_caller(
    model: ModelNode, sender: TransactionSender
) -> None:
    model.fail_next("eth_sendRawTransaction", *[RpcFault(-32000, "nonce too low")] * 100)
    with pytest.raises(RegistryUnavailable, match="in a row"):
        await sender.send(CONTRACT, b"", GAS_LIMIT)


SOON = replace(QUICK, reprice_after_s=0.01)


def pooled_fee_wei(model: ModelNode) -> int:
    return model.pool[0].max_fee_wei


async def test_transaction_that_the_base_fee_left_behind_is_sent_again_for_more(
    model: ModelNode, sender: TransactionSender
) -> None:
    model.mines_at_once = False
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    model.base_fee_wei = 1_000
    model.mine()
    await until(lambda: pooled_fee_wei(model) > 1_000)
    model.mine()
    assert (await sending).transaction_hash == model.blocks[-1].transactions[0].transaction_hash
    assert model.nonce == 1


async def test_transaction_that_blocks_pass_over_is_sent_again_for_more(model: ModelNode) -> None:
    sender = make_sender(model, SOON)
    model.mines_at_once = False
    model.tip_min_wei = 2
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    first = model.pool[0]
    for _ in range(SOON.reprice_after_blocks):
        model.mine()
    await until(lambda: model.pool[0] != first)
    assert model.pool[0].may_replace(first)
    model.mine()
    await sending
    assert model.nonce == 1


async def test_transaction_on_a_chain_that_stands_still_keeps_its_price(model: ModelNode) -> None:
    sender = make_sender(model, SOON)
    model.mines_at_once = False
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    first = model.pool[0]
    asked = model.asked.count("eth_getTransactionByHash")
    await until(lambda: model.asked.count("eth_getTransactionByHash") > asked + 10)
    assert model.pool[0] == first
    model.mine()
    await sending


async def test_price_never_exceeds_the_cap(model: ModelNode) -> None:
    model.base_fee_wei = 100
    sender = make_sender(model, replace(SOON, fee_cap_wei=150))
    model.mines_at_once = False
    sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
    await until(lambda: 0 in model.pool)
    model.base_fee_wei = 1_000
    asked = model.asked.count("eth_maxPriorityFeePerGas")
    await until(lambda: model.asked.count("eth_maxPriorityFeePerGas") > asked + 3)
    assert pooled_fee_wei(model) == 150
    model.base_fee_wei = 100
    model.mine()
    await sending


async def test_transaction_below_the_nodes_minimum_offers_more_instead_of_another_nonce(
    model: ModelNode, sender: TransactionSender
) -> None:
    model.fail_next(
        "eth_sendRawTransaction", RpcFault(-32000, "transaction underpriced: tip needed 2, tip permitted 1")
    )
    await sender.send(CONTRACT, b"", GAS_LIMIT)
    assert model.nonce == 1


async def test_same_call_at_once_is_one_transaction(model: ModelNode, sender: TransactionSender) -> None:
    receipts = await asyncio.gather(*(sender.send(CONTRACT, b"same", GAS_LIMIT) for _ in range(5)))
    assert len({receipt.transaction_hash for receipt in receipts}) == 1
    assert model.nonce == 1


async def test_call_that_took_too_long_is_joined_by_who_asks_again(model: ModelNode) -> None:
    model.mines_at_once = False
    impatient = make_sender(model, replace(QUICK, receipt_timeout_s=0.05))
    with pytest.raises(RegistryUnavailable):
        await impatient.send(CONTRACT, b"", GAS_LIMIT)
    assert impatient.is_sending(CONTRACT, b"")
    again = asyncio.create_task(impatient.send(CONTRACT, b"", GAS_LIMIT))
    await asyncio.sleep(0)
    model.mine()
    await again
    assert model.nonce == 1


class TestConfirmations:
    async def test_receipt_is_final_when_enough_blocks_stand_above_it(self, model: ModelNode) -> None:
        sender = TransactionSender(model.connect_gateway(), RELAYER, CHAIN_ID, QUICK, confirmations=2)
        at_once = await sender.send(CONTRACT, b"", GAS_LIMIT, at_once=True)
        final = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
        model.mine()
        asked = len(model.asked)
        await until(lambda: len(model.asked) > asked + 10)
        assert not final.done()
        model.mine()
        assert await final == at_once

    async def test_transaction_that_a_fork_dropped_before_it_was_final_is_sent_again(self, model: ModelNode) -> None:
        sender = TransactionSender(model.connect_gateway(), RELAYER, CHAIN_ID, QUICK, confirmations=1)
        sending = asyncio.create_task(sender.send(CONTRACT, b"", GAS_LIMIT))
        await until(lambda: model.nonce == 1)
        model.fork(1)
        assert model.nonce == 0
        await until(lambda: model.nonce == 1)
        model.mine()
        assert (await sending).block_number == len(model.blocks) - 2


class TestRestart:
    """A sender that ends in the middle, and another one upon the same journal."""

    @pytest.fixture
    async def journal(self, tmp_path: Path) -> AsyncIterator[TransactionJournal]:
        journal = await TransactionJournal.open(tmp_path / "transactions.sqlite3")
        yield journal
        await journal.close()

    def make(self, model: ModelNode, journal: TransactionJournal) -> TransactionSender:
        return TransactionSender(model.connect_gateway(), RELAYER, CHAIN_ID, QUICK, journal=journal)

    async def stop_in_the_middle(self, model: ModelNode, journal: TransactionJournal) -> None:
        sender = self.make(model, journal)
        model.mines_at_once = False
        sending = asyncio.create_task(sender.send(CONTRACT, b"call", GAS_LIMIT))
        await until(lambda: 0 in model.pool)
        await sender.close()
        with pytest.raises(RegistryUnavailable):
            await sending

    async def test_what_the_node_never_got_is_sent_at_the_next_start(
        self, model: ModelNode, journal: TransactionJournal
    ) -> None:
        await self.stop_in_the_middle(model, journal)
        sent = model.pool.pop(0)
        sender = self.make(model, journal)
        await sender.start()
        await until(lambda: model.pool.get(0) == sent)
        model.mine()
        await until(lambda: sender.open_calls == 0)
        assert await journal.fetch_open(sender.address) == []

    async def test_who_asks_again_joins_what_is_under_way(self, model: ModelNode, journal: TransactionJournal) -> None:
        await self.stop_in_the_middle(model, journal)
        sender = self.make(model, journal)
        await sender.start()
        again = asyncio.create_task(sender.send(CONTRACT, b"call", GAS_LIMIT))
        other = asyncio.create_task(sender.send(CONTRACT, b"other", GAS_LIMIT))
        await until(lambda: len(model.pool) == 2)
        model.mine()
        await asyncio.gather(again, other)
        assert model.nonce == 2

    async def test_what_landed_meanwhile_is_found(self, model: ModelNode, journal: TransactionJournal) -> None:
        await self.stop_in_the_middle(model, journal)
        block = model.mine()
        sender = self.make(model, journal)
        await sender.start()
        assert (await sender.send(CONTRACT, b"call", GAS_LIMIT)).block_number == block.number

    async def test_what_lost_its_nonce_meanwhile_gets_another(
        self, model: ModelNode, journal: TransactionJournal
    ) -> None:
        await self.stop_in_the_middle(model, journal)
        model.pool.clear()
        model._eth_sendRawTransaction(sent_by_somebody_else(0))
        model.mine()
        model.mines_at_once = True
        sender = self.make(model, journal)
        await sender.start()
        await until(lambda: sender.open_calls == 0)
        assert model.nonce == 2

    async def test_nothing_is_sent_that_the_journal_does_not_take(
        self, model: ModelNode, journal: TransactionJournal
    ) -> None:
        sender = self.make(model, journal)
        await journal.close()
        with pytest.raises(RegistryUnavailable):
            await sender.send(CONTRACT, b"", GAS_LIMIT)
        assert model.nonce == 0

    async def test_node_that_is_away_at_the_start_is_waited_for(
        self, model: ModelNode, journal: TransactionJournal
    ) -> None:
        await self.stop_in_the_middle(model, journal)
        model.is_down = True
        sender = self.make(model, journal)
        await sender.start()
        await asyncio.sleep(0.02)
        model.is_down = False
        model.mine()
        await until(lambda: sender.open_calls == 0)
        assert model.nonce == 1


async def test_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "transactions.sqlite3"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(ConfigurationError, match=r"transactions\.sqlite3"):
        await TransactionJournal.open(path)
