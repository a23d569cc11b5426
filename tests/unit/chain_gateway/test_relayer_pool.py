"""Several accounts on the model node's rules: work is shared out, and who cannot pay is passed over."""

import asyncio
from dataclasses import dataclass, field

import pytest

from chain_gateway.errors import CannotPay
from chain_gateway.node_answers import RawReceipt
from chain_gateway.relayer_pool import RelayerPool
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from group_protocol.identifiers import Address


@dataclass
class Sender:
    """Stands for a TransactionSender."""

    address: Address
    failure: RegistryUnavailable | None = None
    sent: int = 0
    is_busy_with_it: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(
        self, _to: Address | None, _calldata: bytes, _gas_limit: int, *, at_once: bool = False
    ) -> RawReceipt:
        assert not at_once
        self.sent += 1
        if self.failure is not None:
            raise self.failure
        await self.gate.wait()
        return RawReceipt(bytes(32), 1, bytes(32), succeeded=True, gas_used=1, contract=None, logs=())

    def is_sending(self, _to: Address | None, _calldata: bytes) -> bool:
        return self.is_busy_with_it

    async def close(self) -> None:
        self.gate.set()


def make(count: int = 3) -> tuple[list[Sender], RelayerPool]:
    senders = [Sender(Address(bytes([number]) * 20)) for number in range(1, count + 1)]
    return senders, RelayerPool(senders)  # type: ignore[arg-type]


def penniless() -> RegistryUnavailable:
    error = RegistryUnavailable("cannot pay")
    error.__cause__ = CannotPay("insufficient funds")
    return error


async def test_calls_go_to_the_account_with_the_least_to_do() -> None:
    senders, pool = make()
    tasks = [asyncio.create_task(pool.send(None, b"", 1)) for _ in range(6)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [sender.sent for sender in senders] == [2, 2, 2]
    senders[1].gate.set()
    await asyncio.sleep(0.01)
    tasks.append(asyncio.create_task(pool.send(None, b"", 1)))
    await asyncio.sleep(0.01)
    assert [sender.sent for sender in senders] == [2, 3, 2]
    await pool.close()
    await asyncio.gather(*tasks)


async def test_account_that_cannot_pay_is_passed_over() -> None:
    senders, pool = make()
    senders[0].failure = penniless()
    senders[1].gate.set()
    assert (await pool.send(None, b"", 1)).succeeded
    assert [sender.sent for sender in senders] == [1, 1, 0]


async def test_when_nobody_can_pay_the_last_says_so() -> None:
    senders, pool = make(2)
    for sender in senders:
        sender.failure = penniless()
    with pytest.raises(RegistryUnavailable, match="cannot pay"):
        await pool.send(None, b"", 1)


async def test_other_failures_are_not_tried_again_with_another_account() -> None:
    """The first may have reached the node: a second one would do it twice."""
    senders, pool = make()
    senders[0].failure = RegistryUnavailable("no block")
    with pytest.raises(RegistryUnavailable, match="no block"):
        await pool.send(None, b"", 1)
    assert [sender.sent for sender in senders] == [1, 0, 0]


async def test_call_that_is_under_way_is_joined_and_not_sent_by_another_account() -> None:
    senders, pool = make()
    senders[2].is_busy_with_it = True
    senders[2].gate.set()
    assert pool.is_sending(None, b"")
    await pool.send(None, b"", 1)
    assert [sender.sent for sender in senders] == [0, 0, 1]


def test_account_named_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        RelayerPool([Sender(Address(bytes(20))), Sender(Address(bytes(20)))])  # type: ignore[list-item]
