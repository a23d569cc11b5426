"""A call on its way into a block, and who waits for it."""

import asyncio
from dataclasses import dataclass, field

from chain_gateway.journal import Attempt, Call
from chain_gateway.node_answers import RawReceipt


def _receipt_to_come() -> "asyncio.Future[RawReceipt]":
    future: asyncio.Future[RawReceipt] = asyncio.get_running_loop().create_future()
    # Its callers may all have given up; asyncio wants somebody to hear of a failure.
    future.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return future


@dataclass(slots=True)
class Delivery:
    """A call on its way.

    Attributes:
        attempts: Signed transactions of one tx_nonce, the newest last; empty before the first.
        attempted_at_s: When the newest was made (the loop's time), and...
        attempted_at_block: ...upon which block; None if an earlier run made it.
        included: Its receipt, as soon as it stands in a block.
        final: Its receipt, once it stands deep enough.
    """

    call: Call
    attempts: list[Attempt] = field(default_factory=list)
    attempted_at_s: float = 0.0
    attempted_at_block: int | None = None
    included: "asyncio.Future[RawReceipt]" = field(default_factory=_receipt_to_come)
    final: "asyncio.Future[RawReceipt]" = field(default_factory=_receipt_to_come)
    task: "asyncio.Task[None] | None" = None

    @property
    def tx_nonce(self) -> int:
        """Of all its attempts."""
        return self.attempts[-1].tx_nonce

    def include(self, receipt: RawReceipt) -> None:
        """It stands in a block."""
        if not self.included.done():
            self.included.set_result(receipt)

    def finish(self, receipt: RawReceipt) -> None:
        """It stands there for good."""
        self.include(receipt)
        if not self.final.done():
            self.final.set_result(receipt)

    def fail(self, error: BaseException) -> None:
        """It will not get there."""
        for future in (self.included, self.final):
            if not future.done():
                future.set_exception(error)
