"""Associations that arrive together go to the chain together (``docs/adr/0021-association-batches.md``).

When a batch leaves:

- nothing is under way: at once, with whatever came in the same turn of the event loop; a lone device waits for nobody;
- a batch is under way: when it is full, or when its oldest item has waited for the window, or when all that was under
  way has come back; never more than ``at_once`` together.

What an item gets is what it would have got alone. Before it leaves it is judged by the replica's fold, which costs no
question to the node: what the fold would refuse goes alone, as a call first, so that a refusal costs no gas and has the
contract's own words. Of one device, one request is under way at a time.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chain_gateway.config import BatchTerms
from chain_gateway.refusals import refusal_of_association
from group_protocol.crypto.keys import recover_address
from group_protocol.errors import RegistryUnavailable, VerificationError, VirtualGroupError
from group_protocol.identifiers import Address, derive_object_id
from group_protocol.membership import AssociationRefused, Membership
from group_protocol.ports import AssociationRequest, Receipt
from group_protocol.tokens import token_digest
from group_protocol.typed_data import TypedDataDomain


class BatchTarget(Protocol):
    """Where associations go."""

    async def associate_alone(self, request: AssociationRequest) -> Receipt:
        """As a call first, then as a transaction of its own."""
        ...

    async def associate_batch(self, requests: Sequence[AssociationRequest]) -> list[Receipt]:
        """All in one transaction, without a call before it."""
        ...

    def membership(self) -> Membership:
        """The fold of all events so far."""
        ...


@dataclass(eq=False, slots=True)
class _Item:
    """One caller's request.

    Attributes:
        account: Who signed it; None if nobody did.
        outcome: What its caller waits for, and may have given up.
        finished: Set when nothing of it is under way any more.
    """

    request: AssociationRequest
    account: Address | None
    arrived_s: float
    outcome: asyncio.Future[Receipt]
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class AssociationBatcher:
    """One for each registry. :meth:`close` it.

    Args:
        target: Sends them.
        domain: What associations are signed for.
        terms: Window, size, and how many batches may be under way.
    """

    def __init__(self, target: BatchTarget, domain: TypedDataDomain, terms: BatchTerms) -> None:
        self._target = target
        self._domain = domain
        self._terms = terms
        self._queue: deque[_Item] = deque()
        self._of_account: dict[Address, _Item] = {}
        self._batches: set[asyncio.Task[None]] = set()
        self._singles: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.Handle | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Requests without an outcome yet."""
        return len(self._of_account)

    async def associate(self, request: AssociationRequest) -> Receipt:
        """Associate one device; see the port. Who gives up before its request has left takes it back."""
        account = self._signer(request)
        while account is not None and (other := self._of_account.get(account)) is not None:
            await other.finished.wait()
        if self._is_closed:
            raise RegistryUnavailable("the registry is closed")
        loop = asyncio.get_running_loop()
        item = _Item(request, account, loop.time(), loop.create_future())
        if account is not None:
            self._of_account[account] = item
        self._queue.append(item)
        # In the loop's next turn, so that those who come in this one leave together.
        self._set_alarm(0.0)
        return await item.outcome

    async def close(self) -> None:
        """Stop waiting. What was sent stays sent; who waits is told that the registry is not there."""
        self._is_closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        tasks = [*self._batches, *self._singles]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail(self._queue, RegistryUnavailable("the registry is closed"))
        self._queue.clear()

    def _leave(self) -> None:
        """Let go whatever may leave now, and come back when the next may."""
        while self._queue and self._may_leave():
            self._start_batch()
        if self._queue and self._is_room:
            self._set_alarm(max(0.0, self._terms.window_s - self._oldest_waited_s()))

    @property
    def _is_room(self) -> bool:
        return len(self._batches) < self._terms.at_once

    def _may_leave(self) -> bool:
        if not self._batches:
            return True
        is_due = len(self._queue) >= self._terms.size or self._oldest_waited_s() >= self._terms.window_s
        return self._is_room and is_due

    def _oldest_waited_s(self) -> float:
        return asyncio.get_running_loop().time() - self._queue[0].arrived_s

    def _set_alarm(self, pause_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(pause_s, self._leave)

    def _start_batch(self) -> None:
        together: list[_Item] = []
        try:
            membership = self._target.membership()
        except VirtualGroupError as exc:  # its events contradict each other: nobody is admitted any more
            self._fail(self._queue, exc)
            self._queue.clear()
            return
        while self._queue and len(together) < self._terms.size:
            item = self._queue.popleft()
            if item.outcome.done():  # its caller gave up
                self._finish(item)
            elif self._is_expected(item, membership):
                together.append(item)
            else:
                self._run([item], self._singles)
        if together:
            self._run(together, self._batches)

    def _is_expected(self, item: _Item, membership: Membership) -> bool:
        """Whether the contract will take it, as far as the fold knows (Algorithm 1, the slave's branch)."""
        request, account = item.request, item.account
        group = membership.groups.get(request.gid)
        if group is None or account is None:
            return False
        oid = derive_object_id(account)
        with contextlib.suppress(VerificationError):
            signer = recover_address(token_digest(request.gid, oid, account), request.token)
            return oid not in membership.objects and signer == group.master
        return False

    def _signer(self, request: AssociationRequest) -> Address | None:
        digest = self._domain.association_digest(request.gid, request.token, request.deadline_unix_s)
        with contextlib.suppress(VerificationError):
            return recover_address(digest, request.request)
        return None

    def _run(self, items: list[_Item], tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(self._deliver(items))
        tasks.add(task)

        def forget(done: asyncio.Task[None]) -> None:
            tasks.discard(done)
            if not self._is_closed:
                self._leave()

        task.add_done_callback(forget)

    async def _deliver(self, items: list[_Item]) -> None:
        try:
            receipts = await self._send([item.request for item in items])
        except VirtualGroupError as exc:
            self._fail(items, exc)
        except BaseException:
            self._fail(items, RegistryUnavailable("the gateway stopped; the association may still land"))
            raise
        else:
            for item, receipt in zip(items, receipts, strict=True):
                _tell(item, receipt)
                self._finish(item)

    async def _send(self, requests: list[AssociationRequest]) -> list[Receipt]:
        if len(requests) == 1:
            return [await self._target.associate_alone(requests[0])]
        return await self._target.associate_batch(requests)

    def _fail(self, items: Iterable[_Item], error: VirtualGroupError) -> None:
        for item in items:
            if not item.outcome.done():
                item.outcome.set_exception(error)
            self._finish(item)

    def _finish(self, item: _Item) -> None:
        if item.account is not None:
            self._of_account.pop(item.account, None)
        item.finished.set()


def _tell(item: _Item, receipt: Receipt) -> None:
    if item.outcome.done():  # its caller gave up
        return
    if isinstance(receipt.event, AssociationRefused):
        item.outcome.set_exception(refusal_of_association(receipt.event.reason, item.request, item.account))
    else:
        item.outcome.set_result(receipt)
