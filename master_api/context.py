"""What the master's services share, built once in the composition root and handed to each."""

from dataclasses import dataclass, field

from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import Address
from group_protocol.ports import Clock, GroupRegistry, Random
from master_api.audit import AuditLog
from master_api.bans import Bans
from master_api.chain_watch import ChainWatch
from master_api.config import MasterConfig
from master_api.current_group import CurrentGroup
from master_api.deadlines import Deadlines
from master_api.disputes import Disputes
from master_api.peer_post import PeerPost
from master_api.refusal_log import RefusalLog
from master_api.registry_calls import RegistryCalls
from master_api.sessions import HalfOpenSessions, LiveSessions
from master_api.store.store import Store
from master_api.waiting_acts import WaitingActs
from system_ports.steady_clock import SteadyClock


@dataclass
class MasterContext:
    """Settings, key, ports, store and tables of one running master. Only the settings are ever replaced (SIGHUP)."""

    config: MasterConfig
    key: PrivateKey = field(repr=False)
    registry: GroupRegistry
    store: Store
    clock: Clock
    steady: SteadyClock
    random: Random
    audit: AuditLog
    refusals: RefusalLog
    group: CurrentGroup
    post: PeerPost
    deadlines: Deadlines
    watch: ChainWatch
    waiting: WaitingActs
    calls: RegistryCalls
    half_open: HalfOpenSessions
    live: LiveSessions
    bans: Bans
    disputes: Disputes
    next_master: Address | None = None
    """The address of the key that is on its way in, while `vgroup master rotate-key` works."""


def build_context(
    config: MasterConfig, key: PrivateKey, registry: GroupRegistry, store: Store, clock: Clock, random: Random
) -> MasterContext:
    """Put a master together around its outward ports. Nothing is started."""
    audit, group = AuditLog(key, clock), CurrentGroup(registry)
    live = LiveSessions(config.sessions_max)
    post = PeerPost(
        store=store,
        group=group,
        registry=registry,
        audit=audit,
        queue_max=config.peer_queue_max,
        when_full=config.peer_queue_full,
    )
    watch = ChainWatch(registry, store, audit, clock, config.chain_away, config.chain_away_max_s)
    return MasterContext(
        config=config,
        key=key,
        registry=registry,
        store=store,
        clock=clock,
        steady=SteadyClock(clock),
        random=random,
        audit=audit,
        refusals=RefusalLog(store, audit, clock),
        group=group,
        post=post,
        deadlines=Deadlines(registry, clock, config.association_deadline_s, lambda: watch.is_away),
        watch=watch,
        waiting=WaitingActs(store, audit, clock),
        calls=RegistryCalls(config.association_wait_s),
        half_open=HalfOpenSessions(config.half_open_max, config.half_open_per_address_max),
        live=live,
        bans=Bans(store, audit, clock, live),
        disputes=Disputes(store, audit, clock, post),
    )
