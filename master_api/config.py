"""Everything about the master that its operator may choose."""

from dataclasses import dataclass
from pathlib import Path

from group_protocol.crypto.aead import Aead
from group_protocol.limits import PAIRING_LIFETIME_S, PAYLOAD_MAX_BYTES, SESSION_LIFETIME_S
from group_protocol.suites import DEFAULT_SUITES, Suite
from group_protocol.tickets import EvidencePolicy, SessionTerms
from master_api.chain_policy import ChainAwayPolicy
from master_api.full_queue import FullQueue
from system_ports.rate_limits import Rate

DEFAULT_PORT = 3000
"""Port of the paper's master."""
STORE_NAME = "master.sqlite3"
ADMIN_SOCKET_NAME = "admin.sock"


@dataclass(frozen=True, slots=True)
class MasterConfig:
    """The master's settings; :mod:`master_api.config_sources` says where they come from."""

    data_dir: Path
    """Folder of the master's state: key, store, chain, admin socket. Mode 0700."""
    host: str = "127.0.0.1"
    """Address to listen on, or several with commas. ``*``: all, in IPv4 and IPv6; ``0.0.0.0``, ``::``: one of the two.

    Loopback, as here, lets nobody in but this machine.
    """
    port: int = DEFAULT_PORT
    """TCP port; 0 lets the system choose one, which the ready line names."""
    public_host: str = ""
    """Host that pairing strings name. Empty: ``host``, or the machine's outward address if that is a wildcard."""
    mdns: bool = True
    """Tell the local network by mDNS where this master is. One that listens on loopback alone tells nobody."""
    store_url: str = ""
    """SQLAlchemy URL of the store. Empty: SQLite in the data folder."""
    chain: str = "embedded"
    """``embedded``, or the URL of a JSON-RPC node."""
    chain_fallback_urls: tuple[str, ...] = ()
    """Further nodes of the same chain by their URLs, asked in this order while the first fails or falls behind."""
    confirmations: int = 0
    """Blocks that have to stand above an association's own before it counts. Revocations count at once.

    0 for the embedded chain and others that never fork.
    """
    chain_away: ChainAwayPolicy = ChainAwayPolicy.FAIL_CLOSED
    """What becomes of members' records once the chain has been away for `chain_away_max_s`.

    fail-closed: they are refused, and wait in the devices' buffers. fail-open: they are taken on the last known
    membership.
    """
    chain_away_max_s: float = 3_600.0
    """While the chain is away for no longer than this, members go on by either policy."""
    gateway: str = ""
    """URL of a ``vgroup gateway run`` on another machine, through which the register is reached. Empty: ``chain``."""
    gateway_token_file: str = ""
    """File of the token that the gateway's operator gave, mode 0600. Empty: the master's key signs the requests."""
    verify_rpc: str = ""
    """URL of a second node of the chain, with which all that the gateway tells is compared. Empty: none."""
    contract: str = ""
    """Contract address in hex, for a node by URL. The embedded chain knows its own."""
    contract_block: int = 0
    """A block at or before the contract's deployment, where the search for its events begins.

    With ``contract`` only.
    """
    relayer_key_file: str = ""
    """Key of the account that pays on a chain by URL. Empty: ``gateway/relayer.key`` in the data folder."""
    more_relayer_key_files: tuple[str, ...] = ()
    """Keys of further accounts that pay on a chain by URL, and send beside the first."""
    association_window_ms: int = 50
    """While other associations are on their way to the chain, one waits at most this long to share a transaction."""
    association_batch: int = 50
    """Most associations in one transaction; fewer where a block has not the gas for so many."""
    passphrase_file: str = ""
    """File whose first line opens the key store. Empty: environment variable VGROUP_PASSPHRASE, else a prompt."""
    suites: tuple[Suite, ...] = DEFAULT_SUITES
    """Key-exchange suites to accept (docs/protocol.md §3.1). R1 only where it is named."""
    aeads: tuple[Aead, ...] = (Aead.A256GCM, Aead.C20P1305)
    """Record ciphers to accept."""
    evidence_policy: EvidencePolicy = EvidencePolicy.CHECKPOINTS
    """SIGNED: every record is signed. CHECKPOINTS: a signature may cover many (docs/protocol.md §6)."""
    checkpoint_records: int = 1_000
    """Most records that may wait for a checkpoint."""
    checkpoint_s: int = 10
    """Most seconds that a record may wait for a checkpoint."""
    payload_max_bytes: int = PAYLOAD_MAX_BYTES
    """Largest payload of one record."""
    session_lifetime_s: int = SESSION_LIFETIME_S
    """After this many seconds a device makes a fresh exchange."""
    pairing_lifetime_s: int = PAIRING_LIFETIME_S
    """Lifetime of a pairing code."""
    association_deadline_s: int = 900
    """How far ahead of the newest block the deadline lies that M4 suggests for the Association signature."""
    association_wait_s: float = 20.0
    """Longest wait for a receipt before M6 says PENDING (docs/protocol.md §7)."""
    half_open_max: int = 1_024
    """Sessions between M2 and M3 at a time, about 4 KB each; beyond it the oldest is dropped for the newest."""
    half_open_per_address_max: int = 64
    """The same from one address (an IPv6 /64 counts as one)."""
    cookie_threshold: int = 256
    """Half-open sessions from which M1 is answered by a cookie challenge first."""
    sessions_max: int = 16_384
    """Established sessions at a time, one per device."""
    connections_max: int = 4_096
    """TCP connections at a time; more are closed at once."""
    connections_per_address_max: int = 512
    """The same from one address."""
    handshakes_per_s: float = 400.0
    """Sustained M1 and M3 over all addresses. One M1 with its M3 costs about 1 ms of CPU."""
    handshakes_burst: int = 4_000
    """M1 and M3 that may come at once over all addresses: a ward after a power cut."""
    handshakes_per_address_per_s: float = 100.0
    """Sustained M1 and M3 from one address."""
    handshakes_per_address_burst: int = 1_000
    """M1 and M3 that may come at once from one address."""
    lingering_s: float = 2.0
    """After a refusal, time for the rest of the request to arrive and be dropped, so that the answer is not lost."""
    body_timeout_s: float = 10.0
    """A request body that is not there after this many seconds is refused."""
    idle_timeout_s: float = 75.0
    """A kept-alive connection without a request is closed after this. Also bounds how long headers may dribble in."""
    stream_open_timeout_s: float = 5.0
    """A WebSocket without its OPEN is closed after this (docs/protocol.md §5.3)."""
    stream_heartbeat_s: float = 20.0
    """A WebSocket is pinged this often; a peer that stays silent for half as long again is gone."""
    stream_send_timeout_s: float = 10.0
    """A peer that does not take an ACK for this long is cut off."""
    stream_credit_bytes: int = 524_288
    """Bytes of frames that a stream may have unacknowledged: what one device can occupy (docs/protocol.md §6)."""
    device_records_per_s: float = 0.0
    """Records a second taken of one device in the long run; of one that sends faster the rest waits in its buffer.
    0: as fast as it sends."""
    anchor_minutes: float = 15.0
    """Every so many minutes the records that came since are committed to the chain, if any came. 0: never."""
    peer_queue_max: int = 1_000
    """Messages of one slave to another that may wait while the receiver is away."""
    peer_queue_full: FullQueue = FullQueue.REFUSE
    """REFUSE: a message that finds the queue full is refused. DROP_OLDEST: the oldest one is pushed out and counted."""
    commit_delay_s: float = 0.01
    """Records wait this long for others with which they can share a commit, counted from when they come; a fifth of it
    if none come."""
    signature_processes_max: int = 16
    """Most processes that check records' signatures, and no more than one for each core but one. 0: none."""
    metrics: str = ""
    """``HOST:PORT`` where Prometheus may ask ``GET /metrics``, such as ``127.0.0.1:9465``. Empty: nowhere.

    Whoever reaches it may read; it names no device.
    """
    shutdown_s: float = 5.0
    """Time that open requests have to finish at shutdown."""
    log_format: str = "text"
    """``text`` (key=value) or ``json``, on stderr. A service's text goes to the journal, with fields."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @property
    def terms(self) -> SessionTerms:
        """What M4 asks of every session."""
        return SessionTerms(
            self.evidence_policy,
            self.checkpoint_records,
            self.checkpoint_s,
            self.payload_max_bytes,
            self.session_lifetime_s,
        )

    @property
    def handshake_rate(self) -> Rate:
        """Bound on handshake messages over all addresses."""
        return Rate(self.handshakes_per_s, self.handshakes_burst)

    @property
    def handshake_rate_per_address(self) -> Rate:
        """Bound on handshake messages of one address."""
        return Rate(self.handshakes_per_address_per_s, self.handshakes_per_address_burst)

    @property
    def resolved_store_url(self) -> str:
        """The store's SQLAlchemy URL."""
        return self.store_url or f"sqlite:///{self.data_dir / STORE_NAME}"

    @property
    def admin_socket(self) -> Path:
        """Where the running master takes its operator's commands."""
        return self.data_dir / ADMIN_SOCKET_NAME
