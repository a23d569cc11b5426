"""How this device came to its key, kept to be shown to a master that does not know it (``docs/protocol.md`` §7.2)."""

from group_protocol.crypto.keys import PrivateKey
from group_protocol.key_changes import KEY_HISTORY_MAX, KeyChange
from group_protocol.ports import RegistryIdentity
from group_protocol.typed_data import TypedDataDomain
from slave_client.device_state import Enrolment


def sign_change(place: Enrolment, old: PrivateKey, new: PrivateKey, deadline_unix_s: int) -> KeyChange:
    """A change of key, signed by both: the same bytes as were sent to the master, for the same deadline."""
    domain = TypedDataDomain(RegistryIdentity(place.chain_id, place.contract))
    digest = domain.rotation_digest(place.gid, place.oid, new.address, deadline_unix_s)
    return KeyChange(new.address, deadline_unix_s, old.sign_digest(digest), new.sign_digest(digest))


def add_change(changes: tuple[KeyChange, ...], change: KeyChange) -> tuple[KeyChange, ...]:
    """The newest 32, each once."""
    others = [other for other in changes if other.new_address != change.new_address]
    return (*others, change)[-KEY_HISTORY_MAX:]
