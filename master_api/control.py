"""What a session asks on its control channel: to associate (M5), to change its key (``docs/protocol.md`` §7, §7.1)."""

from collections.abc import Awaitable, Callable

from sqlalchemy import Connection

from group_protocol.channels import RepeatedRequest
from group_protocol.crypto.keys import verify_signature
from group_protocol.errors import (
    DecodingError,
    Reason,
    RefusedError,
    RegistryInconsistent,
    RegistryUnavailable,
    StoreError,
    VerificationError,
)
from group_protocol.identifiers import HASH_BYTES, Address
from group_protocol.membership import ObjectState, Rotated
from group_protocol.messages import SealedAnswer, SealedRequest
from group_protocol.messages_rotation import RotationCall
from group_protocol.ports import Receipt, RotationRequest
from group_protocol.tickets import AssociationCall, MembershipState, RegistryResult
from master_api.chain_queue import ChainQueue
from master_api.context import MasterContext
from master_api.membership_follower import MembershipFollower
from master_api.rotation_proofs import verify_rotation
from master_api.sessions import LiveSession
from master_api.store.devices import DeviceRow, fetch_device, fetch_device_by_address
from master_api.store.rotations import RotationRow, keep_rotation
from master_api.store.waiting_acts import WaitingAssociation

NO_TRANSACTION = bytes(HASH_BYTES)

Answer = Callable[[LiveSession, bytes], Awaitable[RegistryResult]]


class Control:
    """Answers M5 and ``/rotate`` by way of the registry."""

    def __init__(self, context: MasterContext, follower: MembershipFollower, queue: ChainQueue) -> None:
        self._context = context
        self._follower = follower
        self._queue = queue

    async def answer_association(self, request: SealedRequest) -> SealedAnswer:
        """M5 to M6. Raises RemoteProtocolError or BusyError; refusals for a reason are inside the answer."""
        return await self._answer(request, self._associate, may_be_rotated=False)

    async def answer_rotation(self, request: SealedRequest) -> SealedAnswer:
        """A change of key to its result; the same errors."""
        return await self._answer(request, self._rotate, may_be_rotated=True)

    async def _answer(self, request: SealedRequest, answer: Answer, *, may_be_rotated: bool) -> SealedAnswer:
        live = self._context.live.require(request.sid, self._context.clock.monotonic_s())
        opened = live.session.control.open_request(request)
        if isinstance(opened, RepeatedRequest):
            return opened.answer
        try:
            if live.is_rotated and not may_be_rotated:
                result = self._result(live, Reason.NOT_A_MEMBER)
            else:
                result = await self._result_of(live, opened.plaintext, answer)
            return live.session.control.seal_answer(opened.seq, result.encode())
        except BaseException:
            live.session.control.abandon_request(opened.seq)
            raise

    async def _result_of(self, live: LiveSession, plaintext: bytes, answer: Answer) -> RegistryResult:
        try:
            return await answer(live, plaintext)
        except DecodingError:
            return self._result(live, Reason.MALFORMED)
        except RefusedError as exc:
            return self._result(live, exc.reason)
        except (RegistryUnavailable, RegistryInconsistent):
            return self._result(live, Reason.CHAIN_UNAVAILABLE)
        except StoreError:
            return self._result(live, Reason.STORE_UNAVAILABLE)

    async def _associate(self, live: LiveSession, plaintext: bytes) -> RegistryResult:
        call = AssociationCall.decode(plaintext)
        state = self._state(live)
        if state is MembershipState.REVOKED:
            raise RefusedError(Reason.OBJECT_REVOKED)
        self._require_undisputed(live)
        if state is not MembershipState.ACTIVE:
            self._check_association(live, call)
            waiting = WaitingAssociation(live.oid, call.token, call.request, call.deadline_unix_s)
            try:
                receipt = await self._context.calls.run(live.oid, lambda: self._queue.send_association(waiting))
            except RefusedError as exc:
                if self._state(live) is not MembershipState.ACTIVE:
                    if exc.reason is Reason.OBJECT_ID_IN_USE and await self._is_in_register(live):
                        return self._pending_result()
                    await self._context.waiting.drop_association(live.oid)
                    raise
            except RegistryUnavailable:
                return await self._wait_for_chain(waiting)
            else:
                if receipt is None:
                    await self._context.waiting.keep_association(waiting)
                    return self._pending_result()
        return await self._active_result(live)

    async def _wait_for_chain(self, waiting: WaitingAssociation) -> RegistryResult:
        """Keep the request: it is sent when the chain is back, whether the device asks again or not."""
        await self._context.waiting.keep_association(waiting)
        return self._pending_result(Reason.CHAIN_UNAVAILABLE)

    async def _is_in_register(self, live: LiveSession) -> bool:
        """Whether somebody else sent the device's request first: anyone may relay it. Its event is on its way here."""
        view = await self._context.registry.fetch_object(self._context.group.require().gid, live.oid)
        return view is not None and view.account == live.address and view.state is ObjectState.SLAVE

    def _check_association(self, live: LiveSession, call: AssociationCall) -> None:
        """What the contract would check at the master's cost."""
        group = self._context.group.require()
        if call.token != live.token:
            raise RefusedError(Reason.TOKEN_REFUSED)
        digest = group.domain.association_digest(group.gid, call.token, call.deadline_unix_s)
        _require_signer(digest, call.request, live.address)

    async def _rotate(self, live: LiveSession, plaintext: bytes) -> RegistryResult:
        call = RotationCall.decode(plaintext)
        group, membership = self._context.group.require(), self._context.registry.membership()
        view = membership.objects.get(live.oid)
        if self._state(live) is MembershipState.REVOKED:
            raise RefusedError(Reason.OBJECT_REVOKED)
        if view is None or not membership.is_active_member(group.gid, live.oid):
            raise RefusedError(Reason.NOT_A_MEMBER)
        if view.account != call.new_address:
            await self._require_free(live, call.new_address)
            await self._keep_proof(live, call)
            wish = RotationRequest(
                group.gid, live.oid, call.new_address, call.deadline_unix_s, call.by_old, call.by_new
            )
            receipt = await self._context.calls.run(live.oid, lambda: self._send_rotation(live, wish))
            if receipt is None:
                return self._pending_result()
            if not isinstance(receipt.event, Rotated) or receipt.event.new_address != call.new_address:
                raise RefusedError(
                    Reason.BAD_SIGNATURE
                )  # another change of key was under way; its old key signs no more
            return self._receipt_result(receipt)
        return self._result(live, Reason.NONE)

    async def _keep_proof(self, live: LiveSession, call: RotationCall) -> None:
        """Before the contract hears of it: without these signatures its event would not be believed."""
        group = self._context.group.require()
        proof = RotationRow(live.oid, call.new_address, live.address, call.deadline_unix_s, call.by_old, call.by_new)
        try:
            verify_rotation(proof, group.domain, group.gid)
        except VerificationError as exc:
            raise RefusedError(Reason.BAD_SIGNATURE) from exc
        await self._context.store.write(lambda connection: keep_rotation(connection, proof))

    async def _require_free(self, live: LiveSession, address: Address) -> None:
        if any(view.account == address for view in self._context.registry.membership().objects.values()):
            raise RefusedError(Reason.ADDRESS_IN_USE)

        def find(connection: Connection) -> DeviceRow | None:
            return fetch_device_by_address(connection, address)

        device = await self._context.store.read(find)
        if device is not None and device.oid != live.oid:
            raise RefusedError(Reason.ADDRESS_IN_USE)

    async def _send_rotation(self, live: LiveSession, wish: RotationRequest) -> Receipt:
        receipt = await self._context.registry.rotate(wish)
        await self._follower.wait_for_device(live.oid, lambda device: device.address != live.address)
        return receipt

    async def _active_result(self, live: LiveSession) -> RegistryResult:
        device = await self._context.store.read(lambda connection: fetch_device(connection, live.oid))
        transaction_hash = device.association_transaction if device is not None else None
        block_number = device.association_block if device is not None else None
        return RegistryResult(
            MembershipState.ACTIVE,
            Reason.NONE,
            transaction_hash or NO_TRANSACTION,
            block_number or 0,
            self._epoch(),
        )

    def _receipt_result(self, receipt: Receipt) -> RegistryResult:
        at = receipt.position
        return RegistryResult(MembershipState.ACTIVE, Reason.NONE, at.transaction_hash, at.block_number, self._epoch())

    def _pending_result(self, reason: Reason = Reason.NONE) -> RegistryResult:
        return RegistryResult(MembershipState.PENDING, reason, NO_TRANSACTION, 0, self._epoch())

    def _result(self, live: LiveSession, reason: Reason) -> RegistryResult:
        return RegistryResult(self._state(live), reason, NO_TRANSACTION, 0, self._epoch())

    def _require_undisputed(self, live: LiveSession) -> None:
        """What the register alone says is not told as final; the next M4 tells what it is."""
        view = self._context.registry.membership().objects.get(live.oid)
        if view is not None and view.state is ObjectState.REVOKED:
            raise RefusedError(Reason.NOT_A_MEMBER)

    def _state(self, live: LiveSession) -> MembershipState:
        if live.is_revoked or self._context.waiting.is_ordered(live.oid):
            return MembershipState.REVOKED
        view = self._context.registry.membership().objects.get(live.oid)
        if view is not None and view.gid == self._context.group.require().gid:
            return MembershipState.NOT_ASSOCIATED if view.state is ObjectState.REVOKED else MembershipState.ACTIVE
        is_waiting = self._context.calls.is_running(live.oid) or live.oid in self._context.waiting.associations
        return MembershipState.PENDING if is_waiting else MembershipState.NOT_ASSOCIATED

    def _epoch(self) -> int:
        return self._context.group.view().epoch


def _require_signer(digest: bytes, signature: bytes, signer: Address) -> None:
    try:
        verify_signature(digest, signature, signer)
    except VerificationError as exc:
        raise RefusedError(Reason.BAD_SIGNATURE) from exc
