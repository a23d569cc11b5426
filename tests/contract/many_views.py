"""Many views of a contract in one call: a deployment whose code makes all the calls and returns all the answers.

A call of its own for each costs py-evm four times as much.
"""

from collections.abc import Sequence

from tests.contract.local_evm import LocalEvm

WORD = 32
MSTORE, POP, GAS, STATICCALL, RETURN = b"\x52", b"\x50", b"\x5a", b"\xfa", b"\xf3"


def _push(number: int, size: int = 3) -> bytes:
    return bytes([0x5F + size]) + number.to_bytes(size, "big")


def _call(contract: bytes, payload: bytes, answer_bytes: int, answer_at: int) -> bytes:
    """Put the payload at the start of memory, call, and leave the answer at its place."""
    padded = payload.ljust(-(-len(payload) // WORD) * WORD, b"\0")
    stores = (b"\x7f" + padded[place : place + WORD] + _push(place) + MSTORE for place in range(0, len(padded), WORD))
    arguments = _push(answer_bytes) + _push(answer_at) + _push(len(payload)) + _push(0)
    return b"".join(stores) + arguments + _push(int.from_bytes(contract, "big"), 20) + GAS + STATICCALL + POP


def read_many(evm: LocalEvm, contract: bytes, payloads: Sequence[tuple[bytes, int]]) -> list[bytes]:
    """Call a contract with every payload and return the answers.

    Args:
        evm: The chain.
        contract: The contract's address, 20 bytes.
        payloads: Each call's bytes, and how many bytes it answers; at most 24,000 in all, the limit of EIP-170.

    Raises:
        ValueError: The calls failed as a whole.
    """
    base = max(len(payload) for payload, _ in payloads) + WORD
    code, end = b"", base
    for payload, size in payloads:
        code += _call(contract, payload, size, end)
        end += size
    done = evm.call(b"", code + _push(end - base) + _push(base) + RETURN)
    if not done.succeeded or len(done.output) != end - base:
        raise ValueError(f"the views could not be read: {done}")
    answers, place = [], 0
    for _, size in payloads:
        answers.append(done.output[place : place + size])
        place += size
    return answers
