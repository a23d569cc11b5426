"""The names under which errors are known: on the terminal, in JSON, in the journal, and in ``docs/errors/``.

One code for one remedy: two errors share a code where the user has to do the same. A code that was released keeps its
meaning, and is never used for anything else. ``vgroup explain CODE`` shows its page.
"""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

from group_protocol.reasons import Reason


@unique
class ErrorCode(StrEnum):
    """Each has a page ``docs/errors/CODE.md``; a test keeps codes, pages and their use in the program together."""

    # settings, arguments, files
    ARGUMENT_WRONG = "argument-wrong"
    SETTING_WRONG = "setting-wrong"
    PACKAGE_MISSING = "package-missing"
    FILE_EXISTS = "file-exists"
    FILE_UNUSABLE = "file-unusable"
    FILE_OPEN_TO_OTHERS = "file-open-to-others"
    FOLDER_IN_USE = "folder-in-use"
    PORT_IN_USE = "port-in-use"
    WRITTEN_BY_NEWER = "written-by-newer"
    VERSIONS_DIFFER = "versions-differ"
    NOTHING_HERE = "nothing-here"
    # the machine
    CLOCK_WRONG = "clock-wrong"
    DISK_LOW = "disk-low"
    DISK_REFUSES = "disk-refuses"
    PORT_LOCAL_ONLY = "port-local-only"
    SERVICE_STOPPED = "service-stopped"
    SERVICE_SILENT = "service-silent"
    BUSY = "busy"
    # the master's folder
    NO_MASTER_HERE = "no-master-here"
    PASSPHRASE_MISSING = "passphrase-missing"  # noqa: S105 - a name, no secret
    PASSPHRASE_WRONG = "passphrase-wrong"  # noqa: S105 - a name, no secret
    KEY_FILE_DAMAGED = "key-file-damaged"
    STORE_FAILED = "store-failed"
    STORE_DAMAGED = "store-damaged"
    AUDIT_BROKEN = "audit-broken"
    BACKUP_DAMAGED = "backup-damaged"
    # group, devices, records
    NO_GROUP = "no-group"
    GROUP_EXISTS = "group-exists"
    NO_SUCH_DEVICE = "no-such-device"
    NO_SUCH_RECORD = "no-such-record"
    RECORD_NOT_ANCHORED = "record-not-anchored"
    RECORD_ALTERED = "record-altered"
    RECORD_REFUSED = "record-refused"
    PROOF_FILE_WRONG = "proof-file-wrong"
    MESSAGE_TOO_LARGE = "message-too-large"
    QUEUE_FULL = "queue-full"
    # between device and master
    PAIRING_STRING_WRONG = "pairing-string-wrong"
    PAIRING_CODE_REFUSED = "pairing-code-refused"
    MASTER_UNREACHABLE = "master-unreachable"
    MASTER_REFUSES = "master-refuses"
    ANOTHER_MASTER = "another-master"
    PEER_NOT_UNDERSTOOD = "peer-not-understood"
    PEER_NOT_PROVEN = "peer-not-proven"
    SESSION_ENDED = "session-ended"
    # membership
    NOT_PAIRED = "not-paired"
    PAIRED_ELSEWHERE = "paired-elsewhere"
    NOT_A_MEMBER = "not-a-member"
    DEVICE_REVOKED = "device-revoked"
    DEVICE_BANNED = "device-banned"
    INVITATION_EXPIRED = "invitation-expired"
    MEMBERSHIP_DISPUTED = "membership-disputed"
    IDENTITY_IN_USE = "identity-in-use"
    REQUEST_EXPIRED = "request-expired"
    PROOF_REFUSED = "proof-refused"
    # the device's folder, sensors, handlers
    DEVICE_STATE_DAMAGED = "device-state-damaged"
    DEVICE_KEY_SEALED = "device-key-sealed"
    BUFFER_DAMAGED = "buffer-damaged"
    BUFFER_FULL = "buffer-full"
    RECORD_NUMBERS_USED_UP = "record-numbers-used-up"
    SENSOR_NOT_NAMED = "sensor-not-named"
    SENSOR_NOT_FOUND = "sensor-not-found"
    SENSOR_AMBIGUOUS = "sensor-ambiguous"
    SENSOR_FAILED = "sensor-failed"
    RECORDING_UNUSABLE = "recording-unusable"
    PLUG_IN_OPTION_WRONG = "plug-in-option-wrong"
    HANDLER_FAILED = "handler-failed"
    # the chain
    CHAIN_UNREACHABLE = "chain-unreachable"
    CHAIN_CONTRADICTS = "chain-contradicts"
    CHAIN_LAGS = "chain-lags"
    WRONG_CHAIN = "wrong-chain"
    WRONG_CONTRACT = "wrong-contract"
    CONTRACT_NOT_DEPLOYED = "contract-not-deployed"
    CONTRACT_DEPLOYED_ALREADY = "contract-deployed-already"
    TRANSACTION_NOT_FINAL = "transaction-not-final"
    TRANSACTION_REFUSED = "transaction-refused"
    CHAIN_FILE_DAMAGED = "chain-file-damaged"
    JOURNAL_DAMAGED = "journal-damaged"
    REPLICA_DAMAGED = "replica-damaged"
    # the gateway as a service, the network of nodes
    GATEWAY_UNREACHABLE = "gateway-unreachable"
    GATEWAY_REFUSES = "gateway-refuses"
    GATEWAY_TOKEN_MISSING = "gateway-token-missing"  # noqa: S105 - a name, no secret
    SECOND_NODE_DISAGREES = "second-node-disagrees"
    GETH_MISSING = "geth-missing"
    NETWORK_FOLDER = "network-folder"
    NETWORK_NODE_FAILED = "network-node-failed"
    # measuring, the demo, ourselves
    NO_POWER_PROBE = "no-power-probe"
    TSHARK_UNUSABLE = "tshark-unusable"
    MEASUREMENT_FILE_WRONG = "measurement-file-wrong"
    MEASUREMENT_REFUSED = "measurement-refused"
    DEMO_FAILED = "demo-failed"
    PROGRAM_MISTAKE = "program-mistake"


CODE_OF_REASON: Final[Mapping[Reason, ErrorCode]] = {
    Reason.NONE: ErrorCode.PROGRAM_MISTAKE,
    Reason.DEADLINE_PASSED: ErrorCode.REQUEST_EXPIRED,
    Reason.BAD_SIGNATURE: ErrorCode.PROOF_REFUSED,
    Reason.OBJECT_ID_IN_USE: ErrorCode.IDENTITY_IN_USE,
    Reason.OBJECT_REVOKED: ErrorCode.DEVICE_REVOKED,
    Reason.ADDRESS_IN_USE: ErrorCode.IDENTITY_IN_USE,
    Reason.UNKNOWN_GROUP: ErrorCode.NO_GROUP,
    Reason.GROUP_ID_IN_USE: ErrorCode.GROUP_EXISTS,
    Reason.TOKEN_REFUSED: ErrorCode.PROOF_REFUSED,
    Reason.UNKNOWN_OBJECT: ErrorCode.NO_SUCH_DEVICE,
    Reason.UNKNOWN_RECEIVER: ErrorCode.NO_SUCH_DEVICE,
    Reason.NOT_IN_GROUP: ErrorCode.NOT_A_MEMBER,
    Reason.STALE_EPOCH: ErrorCode.RECORD_REFUSED,
    Reason.SEQ_NOT_RISING: ErrorCode.RECORD_REFUSED,
    Reason.ZERO_ADDRESS: ErrorCode.PROOF_REFUSED,
    Reason.NOT_A_SLAVE: ErrorCode.NOT_A_MEMBER,
    Reason.BAD_RANGE: ErrorCode.RECORD_REFUSED,
    Reason.CHAIN_UNAVAILABLE: ErrorCode.CHAIN_UNREACHABLE,
    Reason.INTERNAL: ErrorCode.PROGRAM_MISTAKE,
    Reason.MALFORMED: ErrorCode.RECORD_REFUSED,
    Reason.EVIDENCE_REQUIRED: ErrorCode.RECORD_REFUSED,
    Reason.EQUIVOCATION: ErrorCode.RECORD_REFUSED,
    Reason.NOT_A_MEMBER: ErrorCode.NOT_A_MEMBER,
    Reason.TOO_LARGE: ErrorCode.MESSAGE_TOO_LARGE,
    Reason.SHUTTING_DOWN: ErrorCode.SESSION_ENDED,
    Reason.REPLACED: ErrorCode.SESSION_ENDED,
    Reason.SESSION_EXPIRED: ErrorCode.SESSION_ENDED,
    Reason.STORE_UNAVAILABLE: ErrorCode.STORE_FAILED,
    Reason.QUEUE_FULL: ErrorCode.QUEUE_FULL,
}
"""What a refusal is known as, where whoever raises it does not say more."""
_CODES: Final = frozenset(ErrorCode)


def find_code(text: object) -> ErrorCode | None:
    """The code that another process names; ``None`` if this version has no such code."""
    return ErrorCode(text) if isinstance(text, str) and text in _CODES else None
