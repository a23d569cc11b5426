"""Keys and memberships of a device on its disk.

Three files in the state directory, each a JSON object with a checksum over its own fields:

- ``device.json``: the signing key and the storage secret. Written once, and again when a rotation has succeeded.
- ``candidate.json``: the next signing key while a rotation is under way (``docs/protocol.md`` §7.1).
- ``state.json``: how far joining has come (:class:`DeviceState`).

The first two are sealed where the machine has a secret for it (:mod:`slave_client.key_sealing`).
"""

import hashlib
import json
from dataclasses import dataclass, field

from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError
from group_protocol.ports import Random
from slave_client.device_state import DeviceState
from slave_client.errors import KeyStoreError
from slave_client.key_sealing import KeySealer, open_fields
from slave_client.state_directory import StateDirectory, damage_remedy

_DEVICE = "device.json"
_CANDIDATE = "candidate.json"
_STATE = "state.json"
_SECRET_FILES = frozenset({_DEVICE, _CANDIDATE})
_SECRET_BYTES = 32
_VERSION = 1


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """What makes the device itself.

    Attributes:
        signing: The key whose address the group knows.
        storage_secret: 32 bytes; keys for data at rest come from it. It stays when the signing key is rotated.
    """

    signing: PrivateKey
    storage_secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CandidateKey:
    """A signing key on its way in.

    Attributes:
        signing: The new key.
        was_asked: Whether a rotation to it may have left this device: then the master may know the device by either
            key.
        asked_deadline_unix_s: The latest block time at which the contract takes what was signed for it; 0: not known.
    """

    signing: PrivateKey
    was_asked: bool
    asked_deadline_unix_s: int = 0


class KeyStore:
    """Loads and replaces the files. Every method is blocking and short; call it off the event loop.

    Args:
        directory: Where they are.
        sealer: Seals the keys; None leaves them to the mode of their files.
    """

    def __init__(self, directory: StateDirectory, sealer: KeySealer | None = None) -> None:
        self._directory = directory
        self._sealer = sealer

    def load_keys(self) -> DeviceKeys | None:
        """The device's keys, or None before the first join. Raises KeyStoreError for a damaged file."""
        fields = self._load(_DEVICE)
        if fields is None:
            return None
        return DeviceKeys(self._signing_key(_DEVICE, fields), self._secret(_DEVICE, fields, "storage_secret"))

    def seal_keys(self) -> bool:
        """Seal keys that lie on the disk in clear, if there is a secret to seal them with. Answers whether any did.

        Raises:
            KeyStoreError: A file is damaged, or the medium refuses.
        """
        if self._sealer is None or all(self._is_sealed(name) for name in _SECRET_FILES):
            return False
        keys, candidate = self.load_keys(), self.load_candidate()
        if keys is not None and not self._is_sealed(_DEVICE):
            self._store_keys(keys)
        if candidate is not None and not self._is_sealed(_CANDIDATE):
            self._store_candidate(candidate)
        return True

    def _is_sealed(self, name: str) -> bool:
        """Also where there is no such file: nothing lies open."""
        content = self._directory.read(name)
        return content is None or b'"sealed"' in content

    def set_aside(self) -> str:
        """Move everything that belongs to an identity that is over into a folder of its own; answers its name.

        What was not delivered stays readable there, with the key to it. A crash in between leaves the state for last,
        so that doing it again finishes it.
        """
        state = self.load_state()
        oid = state.enrolment.oid.hex() if state is not None and state.enrolment is not None else "unknown"
        return self._directory.set_aside(f"evicted-{oid}", last=_STATE)

    def make_keys(self, random: Random) -> DeviceKeys:
        """Draw new keys and store them. Raises KeyStoreError if the device has keys already."""
        if self.load_keys() is not None:
            raise KeyStoreError(
                "the device has a key already",
                remedy="Use another --state-dir for another device.",
                code=ErrorCode.PAIRED_ELSEWHERE,
            )
        keys = DeviceKeys(_draw_signing_key(random), random.token_bytes(_SECRET_BYTES))
        self._store_keys(keys)
        return keys

    def load_candidate(self) -> CandidateKey | None:
        """The key of a rotation under way, if any. Raises KeyStoreError for a damaged file."""
        fields = self._load(_CANDIDATE)
        if fields is None:
            return None
        deadline_unix_s = fields.get("asked_deadline_unix_s", 0)
        if not isinstance(deadline_unix_s, int):
            raise self._damaged(_CANDIDATE)
        return CandidateKey(self._signing_key(_CANDIDATE, fields), fields.get("was_asked") is True, deadline_unix_s)

    def make_candidate(self, random: Random) -> CandidateKey:
        """The candidate that is there, or a new one, stored."""
        candidate = self.load_candidate()
        if candidate is None:
            candidate = CandidateKey(_draw_signing_key(random), was_asked=False)
            self._store_candidate(candidate)
        return candidate

    def mark_asked(self, candidate: CandidateKey, deadline_unix_s: int = 0) -> None:
        """Remember, before it happens, that the rotation leaves this device, and how long it is good."""
        latest_unix_s = max(candidate.asked_deadline_unix_s, deadline_unix_s)
        self._store_candidate(CandidateKey(candidate.signing, was_asked=True, asked_deadline_unix_s=latest_unix_s))

    def drop_candidate(self) -> None:
        """The candidate can never come into force any more."""
        self._directory.remove(_CANDIDATE)

    def adopt_candidate(self, keys: DeviceKeys, candidate: CandidateKey) -> DeviceKeys:
        """The candidate has proved itself: make it the device's key.

        A crash in between leaves both, which is harmless.
        """
        adopted = DeviceKeys(candidate.signing, keys.storage_secret)
        self._store_keys(adopted)
        self._directory.remove(_CANDIDATE)
        return adopted

    def load_state(self) -> DeviceState | None:
        """How far joining has come, or None before the first join. Raises KeyStoreError for a damaged file."""
        fields = self._load(_STATE)
        if fields is None:
            return None
        try:
            return DeviceState.from_fields(fields)
        except (KeyError, TypeError, ValueError, DecodingError) as exc:
            raise self._damaged(_STATE) from exc

    def store_state(self, state: DeviceState) -> None:
        """Replace the state durably. Raises KeyStoreError if the medium refuses."""
        self._store(_STATE, state.to_fields())

    def _store_keys(self, keys: DeviceKeys) -> None:
        self._store(_DEVICE, {"secret": keys.signing.secret.hex(), "storage_secret": keys.storage_secret.hex()})

    def _store_candidate(self, candidate: CandidateKey) -> None:
        self._store(_CANDIDATE, _candidate_fields(candidate))

    def _store(self, name: str, fields: dict[str, object]) -> None:
        if self._sealer is not None and name in _SECRET_FILES:
            fields = self._sealer.seal(name, fields)
        checked = {"version": _VERSION, **fields}
        self._directory.replace(name, json.dumps({**checked, "check": _checksum(checked)}, indent=1).encode() + b"\n")

    def _load(self, name: str) -> dict[str, object] | None:
        content = self._directory.read(name)
        if content is None:
            return None
        try:
            fields = json.loads(content)
        except ValueError as exc:
            raise self._damaged(name) from exc
        if not isinstance(fields, dict) or fields.pop("check", None) != _checksum(fields):
            raise self._damaged(name)
        if fields.pop("version", None) != _VERSION:
            raise KeyStoreError(
                f"{self._directory.path / name} comes from another version of this program",
                remedy="Use that version, or pair anew.",
                code=ErrorCode.WRITTEN_BY_NEWER,
            )
        try:
            return open_fields(self._sealer, self._directory.path / name, fields)
        except (KeyError, ValueError) as exc:
            raise self._damaged(name) from exc

    def _secret(self, name: str, fields: dict[str, object], member: str) -> bytes:
        try:
            secret = bytes.fromhex(str(fields[member]))
        except (KeyError, ValueError) as exc:
            raise self._damaged(name) from exc
        if len(secret) != _SECRET_BYTES:
            raise self._damaged(name)
        return secret

    def _signing_key(self, name: str, fields: dict[str, object]) -> PrivateKey:
        try:
            return PrivateKey.from_secret(self._secret(name, fields, "secret"))
        except KeyStoreError:
            raise
        except ConfigurationError as exc:
            raise self._damaged(name) from exc

    def _damaged(self, name: str) -> KeyStoreError:
        path = self._directory.path / name
        return KeyStoreError(f"{path} is damaged", remedy=damage_remedy(path))


def _candidate_fields(candidate: CandidateKey) -> dict[str, object]:
    return {
        "secret": candidate.signing.secret.hex(),
        "was_asked": candidate.was_asked,
        "asked_deadline_unix_s": candidate.asked_deadline_unix_s,
    }


def _checksum(fields: dict[str, object]) -> str:
    """16 hex characters over the canonical JSON of the fields: finds a damaged file, keeps nobody out."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(b"vgroup/1 file " + canonical).hexdigest()[:16]


def _draw_signing_key(random: Random) -> PrivateKey:
    """A uniform key; a draw outside the curve's order (chance 2^-128) is drawn again."""
    while True:
        try:
            return PrivateKey.from_secret(random.token_bytes(_SECRET_BYTES))
        except ConfigurationError:
            continue
