"""What a registry must offer to be tested by the suite."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from group_protocol.ports import GroupRegistry
from group_protocol.typed_data import TypedDataDomain
from tests.registry_suite.signers import Signers

DEADLINE_AHEAD_S = 3_600


class RegistryFactory(Protocol):
    """Opens registries. A new directory means a new, empty contract; the same one means the same contract again."""

    def open(self, directory: Path) -> AbstractAsyncContextManager[GroupRegistry]: ...


@dataclass(frozen=True)
class Stage:
    """An open registry and people who can sign for it."""

    registry: GroupRegistry
    sign: Signers


async def set_stage(registry: GroupRegistry) -> Stage:
    identity = await registry.fetch_identity()
    deadline = await registry.fetch_block_time() + DEADLINE_AHEAD_S
    return Stage(registry, Signers(TypedDataDomain(identity), deadline))
