"""A running master: the edge with its services and background tasks, over ports that somebody else owns."""

import asyncio
import logging

from sqlalchemy import Connection

from group_protocol.advertisement import Advertisement
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import (
    ConfigurationError,
    Reason,
    RegistryInconsistent,
    RegistryUnavailable,
    StoreError,
)
from master_api.advertising import Advertiser
from master_api.anchoring import Anchoring
from master_api.audit import AuditKind, Detail
from master_api.chain_queue import ChainQueue
from master_api.context import MasterContext
from master_api.control import Control
from master_api.data_requests import DataRequests
from master_api.enrolment import Enrolment
from master_api.handlers import Handlers
from master_api.health import HealthCheck
from master_api.hosts import listening_hosts
from master_api.intake_counts import IntakeCounts
from master_api.listening import listen_on
from master_api.membership_follower import MembershipFollower
from master_api.record_intake import RecordIntake
from master_api.record_pace import RecordPace
from master_api.reloading import Reloader
from master_api.signature_checks import SignatureChecks, choose_processes
from master_api.store.groups import GroupRow, fetch_group
from system_ports.edge_server import EdgeServer

HOUSEKEEPING_S = 1.0
"""How often sessions whose time is up are ended."""

FOLLOWER_WAIT_S = 5.0
"""Longest wait at the start for the registry's events."""

_log = logging.getLogger("vgroup.master")


class MasterService:
    """Start it, then it answers; stop it, and it leaves nothing half done."""

    def __init__(self, context: MasterContext) -> None:
        self.context = context
        self.follower = MembershipFollower(context)
        self.queue = ChainQueue(context, self.follower)
        self.anchoring = Anchoring(context)
        self.health = HealthCheck(context, self.follower)
        self.taken = IntakeCounts()
        self._tasks: list[asyncio.Task[None]] = []
        self._edge: EdgeServer | None = None
        self.reloader: Reloader | None = None
        """Takes new settings once the edge is open."""
        self._checks = SignatureChecks(choose_processes(context.config.signature_processes_max))

    async def open(self) -> None:
        """Adopt the stored group and follow the registry; enough for commands that need no edge.

        Raises:
            ConfigurationError: The stored group is on another chain or contract.
        """
        await self.context.post.open()
        await self.context.waiting.load()
        await self.context.bans.load()
        await self.context.watch.load()
        await self.context.watch.check()
        await self._adopt_stored_group()
        self._tasks.append(asyncio.create_task(self.context.watch.run(), name="chain watch"))
        self._tasks.append(asyncio.create_task(self.queue.run(), name="what waits for the chain"))
        following = asyncio.create_task(self.follower.run(), name="membership follower")
        self._tasks.append(following)
        followed = asyncio.create_task(self.follower.wait_until_following(), name="waiting for the follower")
        self._tasks.append(followed)
        # A chain that cannot be reached now holds nothing up but what needs it.
        await asyncio.wait({following, followed}, timeout=FOLLOWER_WAIT_S, return_when=asyncio.FIRST_COMPLETED)

    async def listen(self) -> int:
        """Open the edge; answers the port."""
        context, config = self.context, self.context.config
        intake = RecordIntake(
            store=context.store,
            group=context.group,
            registry=context.registry,
            clock=context.clock,
            terms=config.terms,
            post=context.post,
            credit_bytes=config.stream_credit_bytes,
            checks=self._checks,
            refuses_all=lambda: context.watch.refuses_records,
            counts=self.taken,
            pace=RecordPace(config.device_records_per_s),
        )
        enrolment = Enrolment(context)
        handlers = Handlers(
            context,
            enrolment=enrolment,
            control=Control(context, self.follower, self.queue),
            records=DataRequests(context, intake),
            intake=intake,
            health=self.health,
        )
        edge = EdgeServer(handlers.handle, config, upgrades={"/stream": handlers.stream})
        self.reloader = Reloader(context, enrolment, edge.bounds)
        port = await listen_on(edge, config.host, config.port)
        self._edge = edge
        self._tasks.append(asyncio.create_task(self._keep_house(), name="housekeeping"))
        self._tasks.append(asyncio.create_task(self.anchoring.run(), name="anchoring"))
        if config.mdns:
            advertiser = Advertiser(Advertisement(context.key.address), listening_hosts(config.host), port)
            self._tasks.append(asyncio.create_task(advertiser.run(), name="advertising"))
        await self._audit(AuditKind.MASTER_STARTED, {"host": config.host, "port": port, "chain": config.chain})
        _log.info("listening", extra={"fields": {"host": config.host, "port": port}})
        return port

    async def prove_progress(self) -> None:
        """Return once the event loop and the store's writer have both made a step (a transaction of nothing).

        Raises:
            StoreError: The writer answers that the database fails.
            RuntimeError: A task of the background has ended by a mistake of ours.
        """
        for task in self._tasks:
            if task.done() and not task.cancelled() and (mistake := task.exception()) is not None:
                raise RuntimeError(f"{task.get_name()} has ended") from mistake
        await self.context.store.write(_nothing)

    async def close(self) -> None:
        """Say goodbye to open streams, finish open requests, stop the tasks. Store and registry stay open."""
        was_listening = self._edge is not None
        self.context.live.end_all(Reason.SHUTTING_DOWN)
        if self._edge is not None:
            await self._edge.close(self.context.config.shutdown_s)
            self._edge = None
        await self._checks.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.queue.close()
        await self.context.calls.close()
        if was_listening:
            await self._audit(AuditKind.MASTER_STOPPED, {})
            _log.info("stopped")

    async def _adopt_stored_group(self) -> None:
        context = self.context
        row = await context.store.read(lambda connection: fetch_group(connection, context.key.address))
        if row is None:
            return
        try:
            await self._require_same_contract(row)
        except RegistryUnavailable as exc:
            # The members' last known state is on the disk: a chain that is away keeps nobody from it.
            _log.warning(
                "the chain cannot be asked whose contract it has",
                extra={"fields": {"message": str(exc), "code": exc.code}},
            )
            self._tasks.append(asyncio.create_task(self._check_contract_later(row), name="contract check"))
        context.group.adopt(row)

    async def _require_same_contract(self, row: GroupRow) -> None:
        identity = await self.context.registry.fetch_identity()
        if (identity.chain_id, identity.contract) != (row.chain_id, row.contract):
            raise ConfigurationError(
                f"the group of this store is on chain {row.chain_id}, contract 0x{row.contract.hex()};"
                f" the gateway stands for chain {identity.chain_id}, contract 0x{identity.contract.hex()}",
                remedy="Set chain and contract as they were, or use another --data-dir.",
                code=ErrorCode.WRONG_CHAIN,
            )

    async def _check_contract_later(self, row: GroupRow) -> None:
        """As soon as the chain answers; a group of another contract is served no longer."""
        while True:
            await self.context.watch.came_back.wait()
            try:
                await self._require_same_contract(row)
            except RegistryUnavailable:
                await asyncio.sleep(HOUSEKEEPING_S)
            except (ConfigurationError, RegistryInconsistent):
                _log.exception("the group is not served: stop the master and mend its settings")
                self.context.group.disown()
                self.context.live.end_all(Reason.SHUTTING_DOWN)
                return
            else:
                return

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            now_s = self.context.clock.monotonic_s()
            self.context.half_open.expire(now_s)
            self.context.live.expire(now_s)
            try:
                await self.follower.renew_undone_revocations()
            except (RegistryInconsistent, StoreError) as exc:
                _log.warning(
                    "revocations were not looked at", extra={"fields": {"message": str(exc), "code": exc.code}}
                )

    async def _audit(self, kind: AuditKind, detail: Detail) -> None:
        await self.context.store.write(lambda connection: self.context.audit.append(connection, kind, detail))


def _nothing(_connection: Connection) -> None:
    """A job that waits its turn behind all others."""
