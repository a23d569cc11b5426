"""Settings of the gateway."""

from dataclasses import dataclass, field
from pathlib import Path

from group_protocol.identifiers import Address

GATEWAY_FOLDER = "gateway"
"""Name of the gateway's folder inside a master's data folder, so that ``vgroup chain`` finds what the master uses."""

EMBEDDED_CHAIN_ID = 1_902_022
"""Chain id of an embedded chain unless the configuration names another; no public chain has it."""


@dataclass(frozen=True, slots=True)
class SenderTimes:
    """How long the transaction sender waits for what, and what it pays at most."""

    receipt_timeout_s: float = 60.0
    """A transaction that stands in no block after this is reported as RegistryUnavailable. It is seen through all the
    same, and who asks for the same act again joins it."""

    first_poll_s: float = 0.01
    """First pause between two questions for a receipt. Each pause is half as long again as the last..."""

    longest_poll_s: float = 0.25
    """...up to this: the most that a receipt may be late, where blocks come each second."""

    rebroadcast_s: float = 3.0
    """How often a waiting transaction is looked for in the node's pool, and sent again if it is gone."""

    reprice_after_s: float = 15.0
    """A transaction that waits so long while blocks go by without it is sent again for a higher price."""

    reprice_after_blocks: int = 3
    """So many blocks have to go by first: a chain that stands still wants no higher price."""

    fee_cap_wei: int = 500 * 10**9
    """Wei per gas that are never exceeded, whatever the market asks."""


@dataclass(frozen=True, slots=True)
class ReplicaTimes:
    """How the event replica follows the chain."""

    poll_interval_s: float = 0.25
    """Pause between two questions for a new block: what a revocation that another gateway sent may be late in cutting a
    device off. Our own transactions do not wait for it."""

    longest_backoff_s: float = 15.0
    """Longest pause while the node cannot be reached."""

    catch_up_timeout_s: float = 30.0
    """A caller whose transaction stands in a block waits this long at most until the replica has taken that block."""

    blocks_per_request: int = 2_000
    """Blocks asked for at once. A node that refuses is asked for half as many."""


@dataclass(frozen=True, slots=True)
class BatchTerms:
    """When associations that arrive together go into one transaction (``docs/adr/0021-association-batches.md``)."""

    window_s: float = 0.05
    """While another batch is under way, an association waits at most this long for company. A lone one never waits."""

    size: int = 50
    """Associations in one transaction: 4.56 million gas at the most, what a block of 8 million has room for."""

    at_once: int = 8
    """Batches that may be under way together."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Which chain, which contract, which account, and where the gateway keeps its files."""

    directory: Path
    """For the deployment record, the event replica, and the embedded chain. Made with mode 0700 where it is missing."""

    url: str | None = None
    """http(s) URL of a node's JSON-RPC; None for the embedded chain."""

    further_urls: tuple[str, ...] = ()
    """Further nodes of the same chain, asked in this order while the first fails or falls behind."""

    relayer_key_file: Path | None = None
    """Private key of the account that pays for transactions on a chain by URL: 64 hex digits, mode 0600. None: the file
    ``relayer.key`` in the directory. The embedded chain makes its own."""

    chain_id: int | None = None
    """EIP-155 chain id. With a URL: refuse a node of another chain. Embedded: the id of a chain that is created."""

    contract: Address | None = None
    """20 bytes: a contract that is deployed already. None: the one that the deployment record names."""

    contract_block: int = 0
    """A block at or before ``contract``'s deployment, where the search for its events begins."""

    confirmations: int = 0
    """Blocks that have to stand above its own before an association counts; 0 for a chain that never forks, as the
    embedded one. Revocations count in their block at once."""

    request_timeout_s: float = 10.0
    """For one JSON-RPC request."""

    requests_at_once: int = 32
    """JSON-RPC requests that the node gets side by side; more wait for their turn."""

    more_relayer_key_files: tuple[Path, ...] = ()
    """Further accounts on a chain by URL, which send beside the first: key files like ``relayer_key_file``."""

    batches: BatchTerms = field(default_factory=BatchTerms)
    sender: SenderTimes = field(default_factory=SenderTimes)
    replica: ReplicaTimes = field(default_factory=ReplicaTimes)
