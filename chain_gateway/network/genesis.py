"""The genesis block of a Clique network (EIP-225), as geth's ``init`` reads it."""

from collections.abc import Sequence
from typing import Any, Final

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
_FORKS_FROM_THE_START: Final = (
    "homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock", "constantinopleBlock",
    "petersburgBlock", "istanbulBlock", "berlinBlock", "londonBlock",
)  # fmt: skip
"""All that Clique knows: it refuses Shanghai and what came after. The contract is compiled for no later one."""


def clique_genesis(
    *, chain_id: int, period_s: int, signers: Sequence[Address], funded: Sequence[Address]
) -> dict[str, Any]:
    """A genesis block whose first signers and rich accounts are these.

    Args:
        chain_id: EIP-155 chain id.
        period_s: Least seconds from block to block.
        signers: Who may seal: in no particular order, as Clique sorts them.
        funded: Accounts that begin with :data:`RELAYER_WEI`.
    """
    return {
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


def clique_extra_data(signers: Sequence[Address]) -> bytes:
    """EIP-225's extraData of a checkpoint: 32 bytes of vanity, the signers in ascending order, 65 bytes of no seal."""
    return bytes(_VANITY_BYTES) + b"".join(sorted(signers)) + bytes(_SEAL_BYTES)
