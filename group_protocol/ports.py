"""Ports: what the tiers need of each other and of the world, as interfaces (``docs/architecture.md``).

Implementations translate every foreign error into one of :mod:`group_protocol.errors` at their border.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from group_protocol.identifiers import Address, GroupId, ObjectId, Signature, Token
from group_protocol.membership import Anchored, ChainEvent, ChainPosition, GroupView, Membership, ObjectView


class Clock(Protocol):
    """Time. The core never asks for it; shells hand it in."""

    def now_unix_s(self) -> float:
        """Wall-clock seconds since 1970, for deadlines and display only; may jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back, for lifetimes and rates."""
        ...


class Random(Protocol):
    """Randomness for keys, nonces and identifiers."""

    def token_bytes(self, length_bytes: int) -> bytes:
        """Uniform random bytes fit for keys."""
        ...


@dataclass(frozen=True, slots=True)
class RegistryIdentity:
    """Which contract on which chain a registry stands for: the two values of the EIP-712 domain that vary."""

    chain_id: int
    contract: Address


@dataclass(frozen=True, slots=True)
class CreateGroupRequest:
    """Algorithm 1, master branch. ``salt`` is 32 bytes; the signature is the master's over ``CreateGroup``."""

    salt: bytes
    master: Address
    deadline_unix_s: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """Algorithm 1, slave branch. ``request`` is the slave's signature over ``Association``."""

    gid: GroupId
    token: Token
    request: Signature
    deadline_unix_s: int


@dataclass(frozen=True, slots=True)
class ExchangeProof:
    """Algorithm 3's input: who says what to whom, and the sender's signature over ``Exchange``."""

    gid: GroupId
    sender: ObjectId
    receiver: ObjectId
    payload_hash: bytes
    seq: int
    epoch: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class AnchorRequest:
    """The master's commitment to a batch of records; the signature is over ``Anchor``."""

    gid: GroupId
    root: bytes
    from_record: int
    to_record: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class RevocationRequest:
    """The master revokes a slave for good; the signature is over ``Revocation``."""

    gid: GroupId
    oid: ObjectId
    deadline_unix_s: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """A slave changes its key; old and new key both sign ``Rotation``."""

    gid: GroupId
    oid: ObjectId
    new_address: Address
    deadline_unix_s: int
    by_old: Signature
    by_new: Signature


@dataclass(frozen=True, slots=True)
class MasterRotationRequest:
    """A master changes its key; old and new key both sign ``MasterRotation``."""

    gid: GroupId
    new_master: Address
    deadline_unix_s: int
    by_old: Signature
    by_new: Signature


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that stands in a block, with the event of ours that it was sent for.

    Attributes:
        gas: Gas used by the whole transaction (for a batch: of the batch).
    """

    event: ChainEvent
    gas: int

    @property
    def position(self) -> ChainPosition:
        """Where the event stands."""
        return self.event.at


@dataclass(frozen=True, slots=True)
class NodeReport:
    """How one of the chain's nodes fares, as the gateway sees it.

    Attributes:
        name: Its URL, without anything secret.
        is_in_use: It is the one that is asked.
        is_good: It could be.
        state: In words.
        head: Its newest block, if known.
        latency_ms: Running mean of its answers' times.
    """

    name: str
    is_in_use: bool
    is_good: bool
    state: str
    head: int | None
    latency_ms: float | None


class GroupRegistry(Protocol):
    """The public register of groups: the contract, seen through any gateway.

    Every method that changes something returns when its receipt stands deep enough in the chain (so many blocks above
    its own as the gateway was told to wait for; :meth:`revoke` in its block at once) and :meth:`membership` shows it.
    Who asks for the same again, with the same signatures, gets the receipt of the first time: asking again does no
    harm, and is the way to find out what became of a call whose answer was lost.

    All may raise ContractRefusal (the contract's rules say no; final), RegistryUnavailable (try again later; what was
    sent may still land) and RegistryInconsistent (the gateway or node contradicts itself).
    """

    async def fetch_identity(self) -> RegistryIdentity:
        """Chain id and contract address; checks that the contract's code is the one expected."""
        ...

    async def create_group(self, request: CreateGroupRequest) -> Receipt:
        """Form a group; the receipt's event is GroupCreated."""
        ...

    async def associate(self, request: AssociationRequest) -> Receipt:
        """Associate one slave; the receipt's event is Associated."""
        ...

    async def associate_batch(self, requests: Sequence[AssociationRequest]) -> list[Receipt]:
        """Associate many in one transaction; one receipt each, with Associated or AssociationRefused, in order.

        Raises:
            LocalProtocolError: None, or more than ``limits.ASSOCIATION_BATCH_MAX``.
        """
        ...

    async def verify_exchange(self, proof: ExchangeProof) -> None:
        """Algorithm 3 as a view; returns if the exchange is good, raises ContractRefusal if not."""
        ...

    async def record_exchange(self, proof: ExchangeProof) -> Receipt:
        """Algorithm 3 as a transaction; seq strictly rising per sender."""
        ...

    async def anchor(self, request: AnchorRequest) -> Receipt:
        """Commit to a batch of records."""
        ...

    async def revoke(self, request: RevocationRequest) -> Receipt:
        """Revoke a slave."""
        ...

    async def rotate(self, request: RotationRequest) -> Receipt:
        """Change a slave's key."""
        ...

    async def rotate_master(self, request: MasterRotationRequest) -> Receipt:
        """Change a master's key."""
        ...

    async def fetch_group(self, gid: GroupId) -> GroupView | None:
        """The group at the newest block, straight from the contract; None if there is none."""
        ...

    async def fetch_object(self, gid: GroupId, oid: ObjectId) -> ObjectView | None:
        """The object at the newest block, straight from the contract; None if unknown or of another group."""
        ...

    async def fetch_block_time(self) -> int:
        """Timestamp of the newest block, unix seconds: what deadlines are checked against."""
        ...

    async def check(self) -> None:
        """Return if the chain answers and :meth:`membership` is up to date with it. Raises what the others do."""
        await self.fetch_block_time()

    async def fetch_anchors(self, gid: GroupId) -> list[Anchored]:
        """Every anchor of a group that :meth:`membership`'s events hold, in chain order.

        Of one that was relayed again the first alone (``docs/protocol.md`` §10).
        """
        ...

    def read_anew(self) -> None:
        """Believe nothing of what was kept: read every event again, soon. :meth:`membership` changes when that is done.

        Who holds the events himself, and not on somebody's word, does nothing.
        """
        return

    def node_reports(self) -> tuple[NodeReport, ...]:
        """How the chain's nodes fare. No I/O; empty where there are none, or they are somebody else's concern."""
        return ()

    def membership(self) -> Membership:
        """The fold over all events that count. No I/O. Raises RegistryInconsistent if they contradict each other.

        Every event counts from its block on, but for Associated: it counts once enough blocks stand above its own. What
        counted once counts until a fork takes its block away. While the chain cannot be reached this is the last known
        state.
        """
        ...

    def events(self) -> AsyncIterator[ChainEvent]:
        """Events from now on, after they are in :meth:`membership`. Ends when the registry closes.

        They come in chain order, but that Associated comes when it counts. Where a fork replaces blocks,
        :meth:`membership` changes in one step when the new branch is read to its head. AssociationUndone then tells of
        each association that counted and is gone; for anything else that is gone there is no word here, and what stands
        in the new blocks comes as any event does: a listener may see the same act twice. Iteration raises
        RegistryInconsistent if the events contradict each other.
        """
        ...
