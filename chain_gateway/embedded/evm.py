"""The rules that the embedded chain runs by: py-evm's Prague virtual machine, with one rule eased.

*Time.* Ethereum wants each block's timestamp to be greater than its parent's. A chain that mines a block per
transaction would run ahead of the clock by a second for every block above one per second, and the contract's
deadlines are checked against that timestamp. So here, as with Hardhat's ``allowBlocksWithSameTimestamp``, blocks that
fall in the same second share it: ``timestamp = max(now, parent)``. It never falls, and it is never ahead of the clock
unless the clock was set back.

*Price.* The base fee starts at zero. EIP-1559 leaves a zero base fee alone while blocks stay within the gas target
(half of the limit), and blocks are filled to the target only: so gas is free for ever, with no rule changed. Gas used
is counted as everywhere.
"""

from collections.abc import Sequence

from eth.abc import BlockHeaderAPI, SignedTransactionAPI
from eth.chains.base import Chain
from eth.consensus.context import ConsensusContext
from eth.constants import GAS_TX
from eth.db.atomic import AtomicDB
from eth.db.chain import ChainDB
from eth.typing import AccountState, HeaderParams
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.constants import STANDARD_TOKEN_COST, TOTAL_COST_FLOOR_PER_TOKEN
from eth_typing import Address, BlockNumber, Hash32

from chain_gateway.embedded.store import NodeTable

FORK = "prague"
BLOCK_GAS_LIMIT = 60_000_000
BLOCK_GAS_TARGET = BLOCK_GAS_LIMIT // 2
"""Blocks are filled to here (EIP-1559, elasticity multiplier 2), so that the base fee stays zero."""

RELAYER_BALANCE_WEI = 10**27
"""A billion ether: gas is free, but a sender that offers a fee must be able to cover its offer."""


class EmbeddedVm(PragueVM):
    """Prague, where blocks of one second share their timestamp."""

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """Prague's checks of a header, with ``timestamp >= parent`` in place of ``>``."""
        if header.timestamp == parent_header.timestamp:
            parent_header = parent_header.copy(timestamp=parent_header.timestamp - 1)
        super().validate_header(header, parent_header)


class EvmState:
    """Headers and state of the one linear chain in a :class:`NodeTable`."""

    def __init__(self, nodes: NodeTable, chain_id: int) -> None:
        self._database = AtomicDB(nodes)
        self._headers = ChainDB(self._database)
        self._chain_context = ChainContext(chain_id)

    def write_genesis(self, relayer: Address, timestamp_unix_s: int) -> BlockHeaderAPI:
        """Write block 0, in which the relayer is rich. Inside the store's first transaction."""
        chain_class = Chain.configure(
            vm_configuration=((0, EmbeddedVm),),
            chain_id=self._chain_context.chain_id,
        )
        parameters: dict[str, HeaderParams] = {
            "gas_limit": BLOCK_GAS_LIMIT,
            "timestamp": timestamp_unix_s,
            "base_fee_per_gas": 0,
            "difficulty": 0,
        }
        allocation: AccountState = {relayer: {"balance": RELAYER_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}}
        chain_class.from_genesis(self._database, parameters, allocation)
        return self.head()

    def head(self) -> BlockHeaderAPI:
        """The newest block's header, read from the file: there is no second truth in memory."""
        return self._headers.get_canonical_head()

    def header(self, number: int) -> BlockHeaderAPI:
        """The header of a block. Raises eth.exceptions.HeaderNotFound beyond the head."""
        return self._headers.get_canonical_block_header_by_number(BlockNumber(number))

    def header_by_hash(self, block_hash: bytes) -> BlockHeaderAPI:
        """The header with this hash. Raises eth.exceptions.HeaderNotFound."""
        return self._headers.get_block_header_by_hash(Hash32(block_hash))

    def has_state(self, header: BlockHeaderAPI) -> bool:
        """Is the state's root node in the file?"""
        return self._headers.exists(header.state_root)

    def child_of(self, parent: BlockHeaderAPI, now_unix_s: int) -> BlockHeaderAPI:
        """An empty header on top of ``parent``, dated by the clock but never before ``parent``."""
        timestamp = max(now_unix_s, parent.timestamp)
        header: BlockHeaderAPI = EmbeddedVm.create_header_from_parent(
            parent, timestamp=timestamp, gas_limit=parent.gas_limit
        )
        return header

    def vm(self, header: BlockHeaderAPI) -> EmbeddedVm:
        """A virtual machine about to execute inside ``header``, on its parent's state."""
        return EmbeddedVm(
            header=header,
            chaindb=self._headers,
            chain_context=self._chain_context,
            consensus_context=ConsensusContext(self._database),
        )

    def append(self, header: BlockHeaderAPI) -> None:
        """Make a finished block's header the new head."""
        self._headers.persist_header(header)

    @staticmethod
    def decode_transaction(encoded: bytes) -> SignedTransactionAPI:
        """A signed transaction from its bytes (EIP-2718). Raises what rlp or py-evm raises for bytes that are none."""
        return EmbeddedVm.get_transaction_builder().decode(encoded)


def minimum_gas(transaction: SignedTransactionAPI) -> int:
    """The least gas limit that a transaction may have. py-evm charges this much but does not demand it."""
    return max(transaction.intrinsic_gas, calldata_floor_gas(transaction.data))


def calldata_floor_gas(calldata: bytes) -> int:
    """What a transaction pays at least for its calldata (EIP-7623)."""
    zero_bytes = calldata.count(0)
    tokens = zero_bytes + STANDARD_TOKEN_COST * (len(calldata) - zero_bytes)
    return GAS_TX + TOTAL_COST_FLOOR_PER_TOKEN * tokens


def finish_block(
    vm: EmbeddedVm,
    header: BlockHeaderAPI,
    transactions: Sequence[SignedTransactionAPI],
    transaction_root: bytes,
    receipt_root: bytes,
) -> BlockHeaderAPI:
    """Write the state, seal and check the block; its final header."""
    block = vm.get_block().copy(
        header=header.copy(transaction_root=transaction_root, receipt_root=receipt_root),
        transactions=transactions,
    )
    return vm.mine_block(block).block.header
