"""Messages from one slave to another, with as many changes of the sender's key as a test wants."""

from group_protocol.crypto.keys import PrivateKey
from group_protocol.key_changes import KeyChange
from group_protocol.peer_messages import Delivery
from group_protocol.records import sign_record
from tests.support.records import DEVICE, DEVICE_KEY, DOMAIN, GID, PEER, make_payload

DEADLINE_UNIX_S = 1_800_000_000


def sender_key(changes: int) -> PrivateKey:
    """The sender's key after so many changes."""
    return DEVICE_KEY if not changes else PrivateKey.from_secret(bytes([0x60 + changes]) * 32)


def make_change(number: int) -> KeyChange:
    """The change from the sender's key ``number`` to the next, signed by both."""
    old, new = sender_key(number), sender_key(number + 1)
    digest = DOMAIN.rotation_digest(GID, DEVICE, new.address, DEADLINE_UNIX_S)
    return KeyChange(new.address, DEADLINE_UNIX_S, old.sign_digest(digest), new.sign_digest(digest))


def make_delivery(seq: int, *, number: int = 7, changes: int = 0, payload: bytes | None = None) -> Delivery:
    """DEVICE says something to PEER."""
    content = make_payload(seq) if payload is None else payload
    record = sign_record(sender_key(changes), DOMAIN, GID, DEVICE, PEER, seq, 1 + changes, content)
    return Delivery(number, DEVICE, DEVICE_KEY.address, tuple(make_change(number) for number in range(changes)), record)
