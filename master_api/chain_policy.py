"""What the operator may choose for the time in which the chain cannot be reached."""

from enum import StrEnum


class ChainAwayPolicy(StrEnum):
    """What happens to members' records once the chain has been away for longer than ``chain_away_max_s``."""

    FAIL_CLOSED = "fail-closed"
    """They are refused until the chain answers: no revocation could be missed for longer."""
    FAIL_OPEN = "fail-open"
    """They are taken on the last known membership, however old it is: no reading is delayed."""
