"""What a full queue of messages between slaves does."""

from enum import StrEnum


class FullQueue(StrEnum):
    """What happens to a message that finds the queue full."""

    REFUSE = "refuse"
    """Its sender is told ``QUEUE_FULL``."""
    DROP_OLDEST = "drop_oldest"
    """The oldest of its sender's is pushed out, and counted."""
