"""``eth_call`` and ``eth_estimateGas``: execution that leaves no trace.

A call runs on the state of the asked block as if in a block right after it, dated by the clock: so a deadline is judged
as it would be if the same bytes were sent now.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from eth.abc import BlockHeaderAPI, ComputationAPI, SignedTransactionAPI
from eth.exceptions import Revert, VMError
from eth.vm.spoof import SpoofTransaction
from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_typing import Address
from eth_utils.exceptions import ValidationError

from chain_gateway.embedded.errors import RpcError
from chain_gateway.embedded.evm import BLOCK_GAS_TARGET, EmbeddedVm, EvmState, calldata_floor_gas, minimum_gas
from chain_gateway.embedded.miner import REFUSED

REVERTED = 3
"""geth's code for a revert; the error's ``data`` is what the contract returned."""

_ERROR_STRING_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)


@dataclass(frozen=True, slots=True)
class Call:
    """An unsigned message. Addresses have 20 bytes; ``to`` is empty for a creation."""

    sender: bytes
    to: bytes
    data: bytes
    value_wei: int = 0
    gas: int = BLOCK_GAS_TARGET


class Caller:
    """Runs calls on a throw-away copy of the state."""

    def __init__(self, state: EvmState, now_unix_s: Callable[[], int]) -> None:
        self._state = state
        self._now_unix_s = now_unix_s

    def call(self, call: Call, at: BlockHeaderAPI) -> bytes:
        """What the call returns. Raises RpcError for a revert (with its data) and every other failure."""
        computation = self._run(call, at, min(call.gas, BLOCK_GAS_TARGET))
        _demand_success(computation)
        return bytes(computation.output)

    def estimate_gas(self, call: Call, at: BlockHeaderAPI) -> int:
        """A gas limit with which the call succeeds: what it uses where that is enough, else a little more.

        Raises:
            RpcError: it fails with any gas limit up to the call's own, as for :meth:`call`.
        """
        limit = min(call.gas, BLOCK_GAS_TARGET)
        computation = self._run(call, at, limit)
        _demand_success(computation)
        used = max(limit - computation.get_gas_remaining(), calldata_floor_gas(call.data))
        # A refund comes after the fact, and a callee gets 63/64 of what is left (EIP-150): that may not be enough.
        for candidate in (used, used * 64 // 63 + 2300):
            if candidate < limit and self._succeeds(call, at, candidate):
                return candidate
        return self._search(call, at, used, limit)

    def _search(self, call: Call, at: BlockHeaderAPI, too_little: int, enough: int) -> int:
        while enough - too_little > max(1000, too_little // 64):
            middle = (too_little + enough) // 2
            if self._succeeds(call, at, middle):
                enough = middle
            else:
                too_little = middle
        return enough

    def _succeeds(self, call: Call, at: BlockHeaderAPI, gas: int) -> bool:
        try:
            return not self._run(call, at, gas).is_error
        except RpcError:
            return False

    def _run(self, call: Call, at: BlockHeaderAPI, gas: int) -> ComputationAPI:
        vm = self._state.vm(self._state.child_of(at, self._now_unix_s()))
        transaction = cast("SignedTransactionAPI", _spoof(vm, call, gas))
        if gas < minimum_gas(transaction):
            raise RpcError(REFUSED, f"intrinsic gas too low: have {gas}, want {minimum_gas(transaction)}")
        try:
            return vm.state.apply_transaction(transaction)
        except ValidationError as exc:
            raise RpcError(REFUSED, str(exc)) from exc


def _spoof(vm: EmbeddedVm, call: Call, gas: int) -> SpoofTransaction:
    unsigned = vm.create_unsigned_transaction(
        nonce=vm.state.get_nonce(Address(call.sender)),
        gas_price=0,
        gas=gas,
        to=Address(call.to),
        value=call.value_wei,
        data=call.data,
    )
    return SpoofTransaction(unsigned, from_=call.sender)


def _demand_success(computation: ComputationAPI) -> None:
    if not computation.is_error:
        return
    error: VMError = computation.error
    if isinstance(error, Revert):
        output = bytes(computation.output)
        raise RpcError(REVERTED, _revert_message(output), revert_output=output)
    raise RpcError(REFUSED, f"{type(error).__name__}: {error}")


def _revert_message(output: bytes) -> str:
    if output[:4] != _ERROR_STRING_SELECTOR:
        return "execution reverted"
    try:
        (reason,) = abi.decode(["string"], output[4:])
    except (DecodingError, UnicodeDecodeError):
        return "execution reverted"
    return f"execution reverted: {reason}"
