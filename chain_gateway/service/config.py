"""Everything about the gateway's service that its operator may choose."""

from dataclasses import dataclass
from pathlib import Path

from system_ports.rate_limits import Rate

DEFAULT_PORT = 3080
CALLERS_NAME = "callers.txt"
GATEWAY_FOLDER = "gateway"


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The service's settings; :mod:`chain_gateway.service.config_sources` says where they come from."""

    data_dir: Path
    """Folder of the gateway's state: callers, relayer key, event replica, embedded chain. Mode 0700."""
    host: str = "127.0.0.1"
    """Address to listen on. ``0.0.0.0`` lets other machines in; nothing else does."""
    port: int = DEFAULT_PORT
    """TCP port; 0 lets the system choose one, which the ready line names."""
    chain: str = "embedded"
    """``embedded``, or the URL of a JSON-RPC node."""
    chain_fallback_urls: tuple[str, ...] = ()
    """Further nodes of the same chain by their URLs, asked in this order while the first fails or falls behind."""
    contract: str = ""
    """Contract address in hex, for a node by URL. Empty: the one that ``vgroup chain deploy`` noted here."""
    contract_block: int = 0
    """A block at or before the contract's deployment. With ``contract`` only."""
    confirmations: int = 0
    """Blocks above its own from which an association counts; 0 for a chain that never forks."""
    relayer_key_file: str = ""
    """Key of the account that pays on a chain by URL. Empty: ``gateway/relayer.key`` in the data folder."""
    more_relayer_key_files: tuple[str, ...] = ()
    """Keys of further accounts that pay on a chain by URL, and send beside the first."""
    association_window_ms: int = 50
    """While other associations are on their way to the chain, one waits at most this long to share a transaction."""
    association_batch: int = 50
    """Most associations in one transaction; fewer where a block has not the gas for so many."""
    callers_file: str = ""
    """Addresses of the keys that may ask. Empty: ``callers.txt`` in the data folder, which authorize writes."""
    token_file: str = ""
    """File of a token that lets its bearer ask too, mode 0600. Empty: signed requests only."""
    requests_per_s: float = 2_000.0
    """Sustained requests over all addresses, strangers' too. Each costs at most 0.2 ms before its caller is known."""
    requests_burst: int = 20_000
    """Requests that may come at once over all addresses."""
    requests_per_address_per_s: float = 500.0
    """Sustained requests from one address (an IPv6 /64 counts as one)."""
    requests_per_address_burst: int = 8_000
    """Requests that may come at once from one address."""
    requests_per_caller_per_s: float = 200.0
    """Sustained requests of one caller."""
    requests_per_caller_burst: int = 4_000
    """Requests that may come at once from one caller: a thousand devices of its ward, and what they ask after."""
    acts_max: int = 8_192
    """Acts that may be under way at a time; more are told to come again."""
    body_max_bytes: int = 262_144
    """Largest request body: a batch of 150 associations has about 45,000 bytes."""
    body_timeout_s: float = 10.0
    """A request body that is not there after this many seconds is refused."""
    head_wait_max_s: float = 30.0
    """Longest wait for a new block that a caller may ask for."""
    connections_max: int = 8_192
    """TCP connections at a time; more are closed at once."""
    connections_per_address_max: int = 4_096
    """The same from one address."""
    lingering_s: float = 2.0
    """After a refusal, time for the rest of the request to arrive and be dropped, so that the answer is not lost."""
    idle_timeout_s: float = 75.0
    """A kept-alive connection without a request is closed after this. Also bounds how long headers may dribble in."""
    shutdown_s: float = 5.0
    """Time that open requests have to finish at shutdown."""
    metrics: str = ""
    """``HOST:PORT`` where Prometheus may ask ``GET /metrics``, such as ``127.0.0.1:9466``. Empty: nowhere.

    Whoever reaches it may read; it names nobody.
    """
    relayer_balance_min_wei: int = 10**16
    """Below this, health says that a relayer's account runs dry (on a chain where gas costs something)."""
    block_age_max_s: float = 60.0
    """A newest block older than this is called a lag in health. An embedded chain makes blocks only when asked."""
    log_format: str = "text"
    """``text`` (key=value) or ``json``, one line per entry on stderr."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @property
    def resolved_callers_file(self) -> Path:
        """Where callers are listed."""
        return Path(self.callers_file) if self.callers_file else self.data_dir / CALLERS_NAME

    @property
    def rate(self) -> Rate:
        """Over all addresses."""
        return Rate(self.requests_per_s, self.requests_burst)

    @property
    def rate_per_address(self) -> Rate:
        """Of one address."""
        return Rate(self.requests_per_address_per_s, self.requests_per_address_burst)

    @property
    def rate_per_caller(self) -> Rate:
        """Of one caller."""
        return Rate(self.requests_per_caller_per_s, self.requests_per_caller_burst)
