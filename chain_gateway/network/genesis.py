"""The genesis block of a network: of Clique (EIP-225) for geth, of QBFT for Besu."""

from collections.abc import Sequence
from typing import Any, Final

import rlp  # type: ignore[import-untyped]

from group_protocol.identifiers import Address

CHAIN_ID: Final = 1_902_023
"""Chain id of a network unless another is named: the embedded chain's, plus one. No public chain has it."""

PERIOD_S: Final = 1
"""Seconds from block to block unless another period is named."""

EPOCH_BLOCKS: Final = 30_000
"""Every so many blocks the header lists all signers, and votes begin anew (EIP-225's own choice)."""

BLOCK_GAS_LIMIT: Final = 30_000_000
RELAYER_WEI: Final = 10**27
"""What a relayer is given: at 1 wei per gas it lasts for 10^19 blocks full of transactions."""

_VANITY_BYTES: Final = 32
_SEAL_BYTES: Final = 65
_QBFT_MIX_HASH: Final = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
"""By it a header says that it is a Byzantine one: the ASCII of "ctical byzantine fault tolerance"."""
_FORKS_FROM_THE_START: Final = (
    "homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock", "constantinopleBlock",
    "petersburgBlock", "istanbulBlock", "berlinBlock", "londonBlock",
)  # fmt: skip
"""All that Clique knows: it refuses Shanghai and what came after. The contract is compiled for no later one."""


def clique_genesis(
    *, chain_id: int, period_s: int, signers: Sequence[Address], funded: Sequence[Address], begins_unix_s: int = 0
) -> dict[str, Any]:
    """A genesis block whose first signers and rich accounts are these.

    Args:
        chain_id: EIP-155 chain id.
        period_s: Least seconds from block to block.
        signers: Who may seal: in no particular order, as Clique sorts them.
        funded: Accounts that begin with :data:`RELAYER_WEI`.
        begins_unix_s: The genesis block's time; block 1 is sealed a period later at the soonest. 0: at once.
    """
    return {
        **({"timestamp": hex(begins_unix_s)} if begins_unix_s else {}),
        "config": {
            "chainId": chain_id,
            **dict.fromkeys(_FORKS_FROM_THE_START, 0),
            "clique": {"period": period_s, "epoch": EPOCH_BLOCKS},
        },
        "difficulty": "0x1",
        "gasLimit": hex(BLOCK_GAS_LIMIT),
        "baseFeePerGas": "0x0",
        "extraData": f"0x{clique_extra_data(signers).hex()}",
        "alloc": {f"0x{address.hex()}": {"balance": hex(RELAYER_WEI)} for address in funded},
    }


def qbft_genesis(
    *, chain_id: int, period_s: int, validators: Sequence[Address], funded: Sequence[Address]
) -> dict[str, Any]:
    """The same for Besu's QBFT. Here gas costs nothing at all: Besu has an option for that, and its pool takes it."""
    return {
        "config": {
            "chainId": chain_id,
            "berlinBlock": 0,
            "londonBlock": 0,
            "zeroBaseFee": True,
            "qbft": {
                "blockperiodseconds": period_s,
                "epochlength": EPOCH_BLOCKS,
                "requesttimeoutseconds": 2 * period_s,
            },
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": hex(BLOCK_GAS_LIMIT),
        "difficulty": "0x1",
        "mixHash": _QBFT_MIX_HASH,
        "coinbase": f"0x{bytes(20).hex()}",
        "extraData": f"0x{qbft_extra_data(validators).hex()}",
        "alloc": {f"0x{address.hex()}": {"balance": hex(RELAYER_WEI)} for address in funded},
    }


def qbft_extra_data(validators: Sequence[Address]) -> bytes:
    """RLP of [32 bytes of vanity, the validators in ascending order, no vote, round 0, no seals], as QBFT has it."""
    return bytes(rlp.encode([bytes(_VANITY_BYTES), sorted(validators), [], 0, []]))


def clique_extra_data(signers: Sequence[Address]) -> bytes:
    """EIP-225's extraData of a checkpoint: 32 bytes of vanity, the signers in ascending order, 65 bytes of no seal."""
    return bytes(_VANITY_BYTES) + b"".join(sorted(signers)) + bytes(_SEAL_BYTES)
