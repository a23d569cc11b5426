"""What attackers make in the place of honest signatures and proofs."""

from collections.abc import Callable, Mapping
from typing import Final

from group_protocol.crypto.aead import Aead
from group_protocol.crypto.keys import CURVE_ORDER
from group_protocol.handshake import SlaveHandshake
from group_protocol.identifiers import Signature
from group_protocol.suites import Suite
from group_protocol.tickets import IdentityProof
from tests.support.running_master import MASTER_KEY, Device

OF_NOBODY: Final = Signature(bytes(64))
"""r = s = 0: what ecrecover answers with the zero address."""
_PARITY_BIT: Final = 1 << 255


def with_other_parity(signature: bytes) -> Signature:
    """A wrong v: the same r and s, the other recovery bit."""
    return Signature(signature[:32] + bytes([signature[32] ^ 0x80]) + signature[33:])


def with_negated_s(signature: bytes) -> Signature:
    """n − s in the place of s, as who takes malleable signatures would: its top bit falls into the parity's place."""
    s = int.from_bytes(signature[32:], "big") & (_PARITY_BIT - 1)
    return Signature(signature[:32] + (CURVE_ORDER - s).to_bytes(32, "big"))


FORGERIES: Final[Mapping[str, Callable[[bytes], Signature]]] = {
    "r = s = 0": lambda _: OF_NOBODY,
    "r = 0": lambda signature: Signature(bytes(32) + signature[32:]),
    "s = 0": lambda signature: Signature(signature[:32] + bytes(32)),
    "r = n": lambda signature: Signature(CURVE_ORDER.to_bytes(32, "big") + signature[32:]),
    "wrong v": with_other_parity,
    "n - s": with_negated_s,
    "the greatest s": lambda signature: Signature(signature[:32] + (_PARITY_BIT - 1).to_bytes(32, "big")),
}


class LyingHandshake(SlaveHandshake):
    """Brings another M3 than the honest one, rightly sealed."""

    change: Callable[[IdentityProof], IdentityProof]

    def _prove_identity(self, th2: bytes) -> IdentityProof:
        return self.change(super()._prove_identity(th2))


def lying_handshake(
    device: Device, change: Callable[[IdentityProof], IdentityProof], suite: Suite = Suite.E1
) -> LyingHandshake:
    handshake = LyingHandshake(
        key=device.key,
        master=MASTER_KEY.address,
        gid=None,
        suites=(suite,),
        aeads=(Aead.A256GCM,),
        pairing_code=device.code,
        random=device.random,
    )
    handshake.change = change
    return handshake
