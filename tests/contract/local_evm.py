"""A throw-away Ethereum chain in process, for the gas report and the contract's tests.

Every transaction goes into one block that is never finished. So the gas is that of a real chain, and time moves only
when it is told to.
"""

from dataclasses import dataclass
from typing import cast

from eth.abc import SignedTransactionAPI, VirtualMachineAPI
from eth.chains.base import MiningChain
from eth.db import get_db_backend
from eth.vm.forks.prague import PragueVM
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from eth_utils.crypto import keccak

RELAYER = PrivateKey(keccak(text="relayer"))
"""Pays for every transaction, and has no right to anything."""
BLOCK_GAS = 1_000_000_000
CALL_GAS = 30_000_000
GAS_PRICE_WEI = 10**9
START_S = 1_700_000_000
"""Block time at the start, in unix seconds: four bytes that are not zero, as in any real deadline."""


@dataclass(frozen=True, slots=True)
class Log:
    """An event as the EVM emits it."""

    topics: tuple[bytes, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction or a call."""

    succeeded: bool
    output: bytes
    """Returned bytes, or those of the revert."""
    gas_used: int
    """Of the whole transaction, after refunds; of a call, its execution alone, before them."""
    logs: tuple[Log, ...] = ()
    created: bytes = b""
    """Address of the contract that a deploying transaction made."""


class LocalEvm:
    """One chain with one open block.

    Args:
        vm: The rules, for instance py-evm's ParisVM.
        chain_id: EIP-155 chain id.
    """

    def __init__(self, *, vm: type[VirtualMachineAPI] = PragueVM, chain_id: int = 1337) -> None:
        self.chain_id = chain_id
        self._tx_nonce = 0
        chain_class = MiningChain.configure("LocalChain", chain_id=chain_id, vm_configuration=((0, vm),))
        payer = Address(RELAYER.public_key.to_canonical_address())
        chain = chain_class.from_genesis(
            get_db_backend(),
            {"difficulty": 0, "gas_limit": BLOCK_GAS, "timestamp": START_S - 1},
            {payer: {"balance": 10**24, "nonce": 0, "code": b"", "storage": {}}},
        )
        self._chain = cast("MiningChain", chain)
        self._chain.header = self._chain.header.copy(gas_limit=BLOCK_GAS, timestamp=START_S)

    @property
    def now_s(self) -> int:
        """Time of the open block, in unix seconds."""
        return int(self._chain.header.timestamp)

    def set_time(self, unix_s: int) -> None:
        """Move the open block to another time."""
        self._chain.set_header_timestamp(unix_s)

    def transact(self, to: bytes, payload: bytes, *, value_wei: int = 0) -> Outcome:
        """Send a transaction and put it into the open block; an empty `to` deploys."""
        transaction = self._transaction(to, payload, value_wei)
        self._tx_nonce += 1
        gas_before = self._chain.header.gas_used
        _, receipt, computation = self._chain.apply_transaction(transaction)
        return Outcome(
            succeeded=computation.is_success,
            output=bytes(computation.output),
            gas_used=self._chain.header.gas_used - gas_before,
            logs=tuple(
                Log(tuple(topic.to_bytes(32, "big") for topic in log.topics), bytes(log.data)) for log in receipt.logs
            ),
            created=b"" if to else bytes(computation.msg.storage_address),
        )

    def call(self, to: bytes, payload: bytes) -> Outcome:
        """Run a call on the open block; it changes nothing."""
        state = self._chain.get_vm().state  # a copy until it is persisted
        computation = state.apply_transaction(self._transaction(to, payload, 0))
        return Outcome(computation.is_success, bytes(computation.output), computation.get_gas_used())

    def set_storage(self, account: bytes, slot: int, value: int) -> None:
        """Write a storage slot directly, to reach states that would cost too many transactions."""
        vm = self._chain.get_vm()
        vm.state.set_storage(Address(account), slot, value)
        vm.state.persist()
        self._chain.header = self._chain.header.copy(state_root=vm.state.state_root)

    def _transaction(self, to: bytes, payload: bytes, value_wei: int) -> SignedTransactionAPI:
        builder = self._chain.get_vm().get_transaction_builder()
        return builder.create_unsigned_transaction(
            nonce=self._tx_nonce, gas_price=GAS_PRICE_WEI, gas=CALL_GAS, to=Address(to), value=value_wei, data=payload
        ).as_signed_transaction(RELAYER, chain_id=self.chain_id)
