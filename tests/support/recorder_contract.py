"""A small contract in raw EVM bytecode, for tests of a chain that should not depend on our Solidity.

Call it with one word ``w`` of 32 bytes:

* no calldata: returns slot 0, the number of words recorded so far (as ``eth_call``)
* ``w`` all ones: reverts with the 4 bytes ``REFUSAL`` and the word: a Solidity custom error ``Refused(uint256)``
* any other ``w``: slot 0 += 1, slot w = block.timestamp, and LOG2(topics RECORDED and w; data: the count)
"""

from typing import Any

from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak

RECORDED = keccak(b"Recorded(uint256,uint256)")
"""Topic 0 of the log."""

REFUSAL = keccak(b"Refused(uint256)")[:4]
"""Selector of the custom error."""

REFUSED_WORD = b"\xff" * 32

GAS = 150_000
"""Enough for one call."""


def _assemble() -> bytes:
    read = bytes.fromhex("5f54 5f52 6020 5ff3")  # return sload(0)
    prologue = bytes.fromhex("36") + bytes([0x60, 4 + len(read)]) + bytes.fromhex("57")  # if calldatasize: jump on
    word = bytes.fromhex("5b 5f35")  # JUMPDEST w
    revert = b"\x63" + REFUSAL + bytes.fromhex("60e0 1b 5f52 6004 52 6024 5ffd")  # needs w on the stack
    start = len(prologue) + len(read) + len(word)
    check = bytes.fromhex("80 19 60") + bytes([start + 5 + len(revert)]) + b"\x57"  # dup1 not jumpi
    record = (
        bytes.fromhex("5b 42 81 55")  # JUMPDEST; sstore(w, timestamp)
        + bytes.fromhex("5f54 6001 01 80 5f55 5f52")  # count = sload(0) + 1; sstore(0, count); mstore(0, count)
        + b"\x7f"
        + RECORDED
        + bytes.fromhex("6020 5f a2 00")  # log2(0, 32, RECORDED, w)
    )
    return prologue + read + word + check + revert + record


RUNTIME = _assemble()

CREATION = bytes([0x60, len(RUNTIME), 0x60, 0x0A, 0x5F, 0x39, 0x60, len(RUNTIME), 0x5F, 0xF3]) + RUNTIME
"""Copies the runtime (fewer than 256 bytes) from after itself and returns it."""


def signed(
    sender: LocalAccount, *, chain_id: int, tx_nonce: int, to: bytes = b"", payload: bytes = b"", gas: int = GAS
) -> bytes:
    """A signed EIP-1559 transaction with price zero; a creation where ``to`` is empty."""
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": chain_id,
        "nonce": tx_nonce,
        "gas": gas,
        "maxFeePerGas": 0,
        "maxPriorityFeePerGas": 0,
        "to": to,
        "value": 0,
        "data": payload,
    }
    return bytes(sender.sign_transaction(fields).raw_transaction)
