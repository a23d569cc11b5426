"""The model contract ``contracts/test/models/OpenBubbles.sol`` on a throw-away chain, with a caller of one's choice."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import solcx
from eth.vm.forks.paris import ParisVM
from eth_abi.abi import decode, encode
from eth_typing import Address
from eth_utils.crypto import keccak

from contracts import build
from tests.contract.acts import Actor, Signature
from tests.contract.local_evm import CALL_GAS, GAS_PRICE_WEI, LocalEvm

SOURCE = "contracts/test/models/OpenBubbles.sol"
S_BITS = 2**255 - 1
RICH_WEI = 10**24


@cache
def compile_model() -> bytes:
    """Creation bytecode."""
    request = {
        "language": "Solidity",
        "sources": {SOURCE: {"content": (build.ROOT / SOURCE).read_text("utf-8")}},
        "settings": {"evmVersion": "paris", "outputSelection": {"*": {"*": ["evm.bytecode.object"]}}},
    }
    with build.compiler() as (binary, _):
        answer = solcx.compile_standard(request, solc_binary=binary)
    return bytes.fromhex(answer["contracts"][SOURCE]["OpenBubbles"]["evm"]["bytecode"]["object"])


class PublicEvm(LocalEvm):
    """The throw-away chain, on which anybody has an account: the model looks at who calls."""

    def transact_as(self, sender: Actor, to: bytes, payload: bytes) -> bool:
        """Send a transaction; whether it went through."""
        account = Address(sender.address)
        vm = self._chain.get_vm()
        vm.state.set_balance(account, RICH_WEI)
        vm.state.persist()
        self._chain.header = self._chain.header.copy(state_root=vm.state.state_root)
        vm = self._chain.get_vm()
        transaction = vm.get_transaction_builder().create_unsigned_transaction(
            nonce=vm.state.get_nonce(account),
            gas_price=GAS_PRICE_WEI,
            gas=CALL_GAS,
            to=Address(to),
            value=0,
            data=payload,
        )
        _, _, computation = self._chain.apply_transaction(
            transaction.as_signed_transaction(sender.key, chain_id=self.chain_id)
        )
        return bool(computation.is_success)


@dataclass(frozen=True)
class OpenBubbles:
    """One deployed model."""

    evm: PublicEvm
    address: bytes

    @classmethod
    def deploy(cls, *, chain_id: int = 1337) -> "OpenBubbles":
        evm = PublicEvm(vm=ParisVM, chain_id=chain_id)
        return cls(evm, evm.transact(b"", compile_model()).created)

    def send(self, function: str, *arguments: Any, sender: Actor) -> bool:
        """A transaction of somebody's; whether it went through."""
        return self.evm.transact_as(sender, self.address, _encode(function, arguments))

    def read(self, function: str, result: str, *arguments: Any) -> Any:
        outcome = self.evm.call(self.address, _encode(function, arguments))
        assert outcome.succeeded
        return decode([result], outcome.output)[0]


def ticket(master: Actor, gid: int, oid: int, account: bytes) -> tuple[bytes, bytes]:
    """The master's signature as the design has it: r and s alone."""
    return without_parity(master.sign(keccak(bytes([gid, oid]) + account)))


def without_parity(signature: Signature) -> tuple[bytes, bytes]:
    return signature[0], (int.from_bytes(signature[1], "big") & S_BITS).to_bytes(32, "big")


def _encode(function: str, arguments: tuple[Any, ...]) -> bytes:
    types = function[function.index("(") + 1 : -1]
    return keccak(text=function)[:4] + encode(types.split(",") if types else [], arguments)
