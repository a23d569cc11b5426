"""An embedded chain in a temporary directory, with a clock that the test sets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_typing import ChecksumAddress
from hexbytes import HexBytes
from web3 import AsyncWeb3

from chain_gateway.embedded import EmbeddedChain, EmbeddedProvider, open_embedded_chain
from tests.support.recorder_contract import CREATION, signed

CHAIN_ID = 1337
RELAYER_KEY = bytes(31) + b"\x07"


class SetClock:
    """A clock that stands still until it is told the time."""

    def __init__(self, now_unix_s: int) -> None:
        self.now_unix_s = now_unix_s

    def __call__(self) -> int:
        return self.now_unix_s


@dataclass
class Recorder:
    """The deployed test contract, and what is needed to call it."""

    chain: EmbeddedChain
    web3: AsyncWeb3[EmbeddedProvider]
    address: bytes
    next_tx_nonce: int

    def transaction(self, payload: bytes, *, gas: int = 150_000) -> bytes:
        """The next signed transaction to the contract."""
        raw = signed(
            self.chain.relayer,
            chain_id=CHAIN_ID,
            tx_nonce=self.next_tx_nonce,
            to=self.address,
            payload=payload,
            gas=gas,
        )
        self.next_tx_nonce += 1
        return raw

    async def record(self, word: int) -> HexBytes:
        """Record a word; the transaction's hash."""
        return await self.web3.eth.send_raw_transaction(self.transaction(word.to_bytes(32, "big")))

    async def count(self) -> int:
        """Words recorded so far, by ``eth_call``."""
        return int.from_bytes(await self.web3.eth.call({"to": self.checksum_address}), "big")

    @property
    def checksum_address(self) -> ChecksumAddress:
        """As web3 wants it."""
        return AsyncWeb3.to_checksum_address(self.address)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_800_000_000)


@pytest.fixture
def reopen(tmp_path: Path, clock: SetClock) -> Iterator[Callable[[], EmbeddedChain]]:
    """Opens the chain of this test; closes the one opened before, and the last one at the end."""
    opened: list[EmbeddedChain] = []

    def open_again() -> EmbeddedChain:
        if opened:
            opened[-1].close()
        chain = open_embedded_chain(tmp_path / "chain", chain_id=CHAIN_ID, now_unix_s=clock, relayer_key=RELAYER_KEY)
        opened.append(chain)
        return chain

    yield open_again
    if opened:
        opened[-1].close()


@pytest.fixture
def chain(reopen: Callable[[], EmbeddedChain]) -> EmbeddedChain:
    return reopen()


@pytest.fixture
async def recorder(chain: EmbeddedChain) -> Recorder:
    web3: AsyncWeb3[EmbeddedProvider] = AsyncWeb3(chain.provider)
    creation = signed(chain.relayer, chain_id=CHAIN_ID, tx_nonce=0, payload=CREATION, gas=300_000)
    receipt = await web3.eth.get_transaction_receipt(await web3.eth.send_raw_transaction(creation))
    assert receipt["contractAddress"] is not None
    return Recorder(chain, web3, bytes.fromhex(receipt["contractAddress"][2:]), 1)
