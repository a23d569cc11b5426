"""Opening and closing an embedded chain (``docs/adr/0003-embedded-chain.md``)."""

import logging
from collections.abc import Callable
from pathlib import Path

from eth.exceptions import CanonicalHeadNotFound, HeaderNotFound
from eth_account.signers.local import LocalAccount
from eth_typing import Address

from chain_gateway.embedded.archive import Archive
from chain_gateway.embedded.caller import Caller
from chain_gateway.embedded.errors import ChainFileRefused, ChainIdMismatch
from chain_gateway.embedded.evm import FORK, EvmState
from chain_gateway.embedded.lock import DirectoryLock
from chain_gateway.embedded.miner import Miner
from chain_gateway.embedded.provider import EmbeddedProvider
from chain_gateway.embedded.relayer_key import account_of, load_or_create_relayer
from chain_gateway.embedded.rpc import RpcMethods
from chain_gateway.embedded.store import ChainStore, open_store

CHAIN_FILE = "chain.sqlite3"
LOCK_FILE = "chain.lock"
RELAYER_KEY_FILE = "relayer.key"

CLOCK_BEHIND_WARNING_S = 60
"""A clock this far behind the newest block is worth a warning: deadlines are judged by the block's time."""

logger = logging.getLogger(__name__)


class EmbeddedChain:
    """An open chain.

    Attributes:
        chain_id: As chosen when the chain was created.
        provider: For ``AsyncWeb3(chain.provider)``.
        relayer: An account to send from. Gas is free here; it has ether all the same.
    """

    def __init__(
        self, chain_id: int, provider: EmbeddedProvider, relayer: LocalAccount, store: ChainStore, lock: DirectoryLock
    ) -> None:
        self.chain_id = chain_id
        self.provider = provider
        self.relayer = relayer
        self._store = store
        self._lock = lock

    def close(self) -> None:
        """Answer what was asked, close the file, let the next process in. Idempotent; blocks for a block at most."""
        self.provider.close()
        self._store.close()
        self._lock.release()


def open_embedded_chain(
    path: Path, *, chain_id: int, now_unix_s: Callable[[], int], relayer_key: bytes | None = None
) -> EmbeddedChain:
    """Open the chain in the directory ``path``, or create it there.

    The work is bounded by a few rows, however long the chain is.

    Args:
        path: A directory for the chain alone; made with mode 0700 where it is missing.
        chain_id: EIP-155 chain id; chosen for good when the chain is created.
        now_unix_s: Whole seconds since 1970, for block timestamps.
        relayer_key: 32 bytes; if not given, a key is kept in ``relayer.key`` with mode 0600.

    Raises:
        ChainLocked: another process has it open.
        ChainIdMismatch: it was created with another chain id.
        ChainFileRefused: a file in the directory is damaged, foreign, or readable by others.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = DirectoryLock.acquire(path / LOCK_FILE)
    try:
        relayer = account_of(relayer_key) if relayer_key else load_or_create_relayer(path / RELAYER_KEY_FILE)
        store = open_store(path / CHAIN_FILE)
    except BaseException:
        lock.release()
        raise
    try:
        provider = _start(store, path, relayer, chain_id, now_unix_s)
    except BaseException:
        store.close()
        lock.release()
        raise
    return EmbeddedChain(chain_id, provider, relayer, store, lock)


def _start(
    store: ChainStore, path: Path, relayer: LocalAccount, chain_id: int, now_unix_s: Callable[[], int]
) -> EmbeddedProvider:
    state = EvmState(store.nodes, chain_id)
    archive = Archive(store)
    if store.is_new:
        _create(store, state, archive, relayer, chain_id, now_unix_s())
    _check(store, state, path, chain_id, now_unix_s())
    miner = Miner(store, state, archive, chain_id, now_unix_s)
    return EmbeddedProvider(miner, RpcMethods(state, archive, Caller(state, now_unix_s), chain_id))


def _create(
    store: ChainStore, state: EvmState, archive: Archive, relayer: LocalAccount, chain_id: int, now_unix_s: int
) -> None:
    """Tables, settings and block 0 in one transaction: after a crash there is all of it or an empty file."""
    with store.transaction():
        store.create_tables()
        store.write_setting("chain_id", str(chain_id))
        store.write_setting("fork", FORK)
        genesis = state.write_genesis(Address(bytes.fromhex(relayer.address[2:])), now_unix_s)
        archive.add_block(genesis, (), ())


def _check(store: ChainStore, state: EvmState, path: Path, chain_id: int, now_unix_s: int) -> None:
    found = store.read_setting("chain_id")
    if found != str(chain_id):
        raise ChainIdMismatch(
            f"the embedded chain in {path} has chain id {found}, not {chain_id}",
            remedy=f"Configure chain id {found}, or use another directory: a chain keeps its id.",
        )
    try:
        head = state.head()
    except (CanonicalHeadNotFound, HeaderNotFound) as exc:
        raise ChainFileRefused(f"{path / CHAIN_FILE} has no newest block", remedy="Restore it from a backup.") from exc
    if store.read_setting("fork") != FORK or not state.has_state(head):
        raise ChainFileRefused(
            f"{path / CHAIN_FILE} does not hold the state of its newest block", remedy="Restore it from a backup."
        )
    if head.timestamp > now_unix_s + CLOCK_BEHIND_WARNING_S:
        logger.warning(
            "the clock is %d s behind the newest block; deadlines are judged by the block until it catches up",
            head.timestamp - now_unix_s,
        )
