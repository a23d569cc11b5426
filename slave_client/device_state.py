"""How far a device has come on its way into a group, as it stands on its disk."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from group_protocol.extensions import Standing
from group_protocol.identifiers import (
    Address,
    GroupId,
    ObjectId,
    Token,
    parse_address,
    parse_group_id,
    parse_object_id,
    parse_token,
)
from group_protocol.key_changes import KeyChange
from group_protocol.limits import PAIRING_CODE_BYTES
from group_protocol.signed_change import encode_changes
from slave_client.finding.places import Place


class JoinStep(StrEnum):
    """Steps of joining; each is on the disk before the next begins."""

    PAIRED = "paired"
    """The pairing string is known: master's address, code, host and port."""
    ENROLLED = "enrolled"
    """The master admitted the device and gave it a token (M4)."""
    ASSOCIATED = "associated"
    """The contract has the device in its group (M6, or M4 with state ACTIVE)."""
    REVOKED = "revoked"
    """The contract has revoked the device. Final."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What M4 told: the device's place in its group.

    Attributes:
        address: The device's address that the token names.
        sending_epoch: The epoch under which records were last sent: what waits for a checkpoint belongs to it.
    """

    gid: GroupId
    oid: ObjectId
    address: Address
    token: Token
    master_oid: ObjectId
    chain_id: int
    contract: Address
    sending_epoch: int


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The whole memory of joining.

    Attributes:
        code: 16 bytes, the pairing code, until the master has enrolled the device.
        enrolment: There from ENROLLED on.
        last_place: Where the master proved itself last, if that is not ``host`` and ``port``.
        standing: Why the master did not let the device in when it last asked; GOOD if it did.
        master_software: The version that the master told last.
        key_changes: How the device came to its present key, the oldest first; the newest 32.
    """

    step: JoinStep
    master: Address
    host: str
    port: int
    code: bytes | None = field(default=None, repr=False)
    enrolment: Enrolment | None = None
    last_place: Place | None = None
    standing: Standing = Standing.GOOD
    master_software: str = ""
    key_changes: tuple[KeyChange, ...] = ()

    @property
    def gid(self) -> GroupId | None:
        """The group, once known."""
        return self.enrolment.gid if self.enrolment else None

    def enrolled(self, enrolment: Enrolment) -> "DeviceState":
        """After M4: the code has done its work. A later M4 does not undo an association."""
        step = JoinStep.ENROLLED if self.step is JoinStep.PAIRED else self.step
        return replace(self, step=step, code=None, enrolment=enrolment, standing=Standing.GOOD)

    def associated(self) -> "DeviceState":
        """The contract has it."""
        return replace(self, step=JoinStep.ASSOCIATED)

    def not_associated(self) -> "DeviceState":
        """The contract does not have it, whatever was noted before: M5 has to be sent (again)."""
        return replace(self, step=JoinStep.ENROLLED)

    def revoked(self) -> "DeviceState":
        """The contract has revoked it."""
        return replace(self, step=JoinStep.REVOKED)

    def to_fields(self) -> dict[str, object]:
        """JSON fields."""
        fields: dict[str, object] = {
            "step": self.step.value,
            "master": self.master.hex(),
            "host": self.host,
            "port": self.port,
            "code": self.code.hex() if self.code else None,
        }
        if self.last_place:
            fields |= {"last_host": self.last_place.host, "last_port": self.last_place.port}
        if self.standing is not Standing.GOOD:
            fields["standing"] = self.standing.name.lower()
        if self.master_software:
            fields["master_software"] = self.master_software
        if self.key_changes:
            fields["key_changes"] = encode_changes(self.key_changes).hex()
        if self.enrolment:
            place = self.enrolment
            fields |= {
                "gid": place.gid.hex(),
                "oid": place.oid.hex(),
                "address": place.address.hex(),
                "token": place.token.hex(),
                "master_oid": place.master_oid.hex(),
                "chain_id": place.chain_id,
                "contract": place.contract.hex(),
                "sending_epoch": place.sending_epoch,
            }
        return fields

    @classmethod
    def from_fields(cls, fields: dict[str, object]) -> "DeviceState":
        """Read JSON fields. Raises KeyError, TypeError, ValueError or DecodingError if they are not ours."""
        code = fields["code"]
        state = cls(
            JoinStep(_text(fields, "step")),
            parse_address(_hex(fields, "master")),
            _text(fields, "host"),
            _integer(fields, "port"),
            None if code is None else _hex(fields, "code"),
            _enrolment(fields) if "gid" in fields else None,
            Place(_text(fields, "last_host"), _integer(fields, "last_port")) if "last_host" in fields else None,
            Standing[_text(fields, "standing").upper()] if "standing" in fields else Standing.GOOD,
            _text(fields, "master_software") if "master_software" in fields else "",
            KeyChange.decode_all(_hex(fields, "key_changes")) if "key_changes" in fields else (),
        )
        if (state.code is not None and len(state.code) != PAIRING_CODE_BYTES) or (
            (state.enrolment is None) is not (state.step is JoinStep.PAIRED)
        ):
            raise ValueError("fields contradict each other")
        return state


def _enrolment(fields: dict[str, object]) -> Enrolment:
    return Enrolment(
        parse_group_id(_hex(fields, "gid")),
        parse_object_id(_hex(fields, "oid")),
        parse_address(_hex(fields, "address")),
        parse_token(_hex(fields, "token")),
        parse_object_id(_hex(fields, "master_oid")),
        _integer(fields, "chain_id"),
        parse_address(_hex(fields, "contract")),
        _integer(fields, "sending_epoch"),
    )


def _text(fields: dict[str, object], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _hex(fields: dict[str, object], name: str) -> bytes:
    return bytes.fromhex(_text(fields, name))


def _integer(fields: dict[str, object], name: str) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(name)
    return value
