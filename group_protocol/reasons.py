"""Why something was refused, as it travels."""

from enum import IntEnum


class Reason(IntEnum):
    """Why something was refused, as a u16 inside sealed answers (``docs/protocol.md`` §9)."""

    NONE = 0
    DEADLINE_PASSED = 1
    BAD_SIGNATURE = 2
    OBJECT_ID_IN_USE = 3
    OBJECT_REVOKED = 4
    ADDRESS_IN_USE = 5
    UNKNOWN_GROUP = 6
    GROUP_ID_IN_USE = 7
    TOKEN_REFUSED = 8
    UNKNOWN_OBJECT = 9
    UNKNOWN_RECEIVER = 10
    NOT_IN_GROUP = 11
    STALE_EPOCH = 12
    SEQ_NOT_RISING = 13
    ZERO_ADDRESS = 14
    NOT_A_SLAVE = 15
    BAD_RANGE = 16
    CHAIN_UNAVAILABLE = 32
    INTERNAL = 33
    MALFORMED = 34
    EVIDENCE_REQUIRED = 35
    EQUIVOCATION = 36
    NOT_A_MEMBER = 37
    TOO_LARGE = 38
    SHUTTING_DOWN = 39
    REPLACED = 40
    SESSION_EXPIRED = 41
    STORE_UNAVAILABLE = 42
    QUEUE_FULL = 43
