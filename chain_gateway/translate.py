"""The one border to web3 and the node: its errors in, ours out."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiohttp import ClientError
from web3.exceptions import Web3Exception

from chain_gateway.errors import (
    AlreadyKnown,
    CallReverted,
    CannotPay,
    NodeError,
    NonceAhead,
    NonceTaken,
    NonceUsed,
    TransactionRefused,
    Underpriced,
)
from chain_gateway.node_answers import UnusableAnswer
from group_protocol.errors import RegistryUnavailable

_REVERT_CODE = 3
"""geth's JSON-RPC code for a revert; anvil, reth and the embedded chain use it too."""

_MESSAGE_MAX_CHARACTERS = 200

_REFUSALS: tuple[tuple[str, type[TransactionRefused]], ...] = (
    ("nonce too low", NonceUsed),
    ("nonce too high", NonceAhead),
    ("too distant from current sender nonce", NonceAhead),
    ("replacement transaction underpriced", NonceTaken),
    ("could not replace existing tx", NonceTaken),
    ("tries to replace pending", NonceTaken),
    ("already known", AlreadyKnown),
    ("already imported", AlreadyKnown),
    ("known transaction", AlreadyKnown),
    ("underpriced", Underpriced),
    ("less than block base fee", Underpriced),
    ("below current base fee", Underpriced),
    ("below configured minimum", Underpriced),
    ("insufficient funds", CannotPay),
    ("insufficient balance", CannotPay),
    ("cost exceeds account balance", CannotPay),
)
"""No standard gives these errors codes; geth, anvil, Besu and the embedded chain word them like this (lower case). The
first that fits decides: geth's "replacement transaction underpriced" is about the pool's tx_nonce, its "transaction
underpriced" about the price alone."""

_CHECK_NODE = "Check that the node runs and that its URL is right, then try again."


@contextmanager
def node_border() -> Iterator[None]:
    """Everything that a request to the node may raise leaves this block as one of our errors.

    Raises:
        RegistryUnavailable: No connection, no answer in time, no JSON-RPC, or an error of the node's own.
    """
    try:
        yield
    except NodeError as exc:
        raise RegistryUnavailable(f"the chain's node refused: {exc}", remedy=_CHECK_NODE) from exc
    except TimeoutError as exc:
        raise RegistryUnavailable("the chain's node did not answer in time", remedy=_CHECK_NODE) from exc
    except (ClientError, OSError, EOFError, Web3Exception, json.JSONDecodeError, UnicodeDecodeError) as exc:
        cause = f"{type(exc).__name__}: {_shown(exc)}"
        raise RegistryUnavailable(f"the chain's node cannot be reached: {cause}", remedy=_CHECK_NODE) from exc


def result_of(answer: object) -> object:
    """The ``result`` of a JSON-RPC answer.

    Raises:
        NodeError: The answer is an error object.
        UnusableAnswer: It is neither.
    """
    if not isinstance(answer, Mapping):
        raise UnusableAnswer("the node's answer is no JSON-RPC object")
    error = answer.get("error")
    if error is not None:
        raise _read_error(error)
    if "result" not in answer:
        raise UnusableAnswer("the node's answer has neither result nor error")
    return answer["result"]


def revert_of_call(error: NodeError) -> CallReverted | None:
    """What the EVM returned, if the error is a revert; None for any other error."""
    if error.code == _REVERT_CODE or "revert" in error.message.lower():
        return CallReverted(error.output)
    return None


def refusal_of_transaction(error: NodeError) -> TransactionRefused:
    """Which of the pool's refusals a node's words mean."""
    lowered = error.message.lower()
    for words, kind in _REFUSALS:
        if words in lowered:
            return kind(error.message)
    return TransactionRefused(error.message)


def _read_error(error: object) -> NodeError:
    if not isinstance(error, Mapping):
        return NodeError(-1, _shown(error), b"")
    code = error.get("code")
    message = _shown(error.get("message", "no message"))
    return NodeError(code if isinstance(code, int) else -1, message, _output(error.get("data")))


def _shown(text: object) -> str:
    """A stranger's words, short and on one line, for our messages and logs."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:_MESSAGE_MAX_CHARACTERS])


def _output(data: object) -> bytes:
    """DATA as most nodes give it, or behind the word "Reverted" as some do; empty where there is none."""
    if not isinstance(data, str):
        return b""
    try:
        return bytes.fromhex(data.removeprefix("Reverted ").removeprefix("0x"))
    except ValueError:
        return b""
