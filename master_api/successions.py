"""Tells a slave that pinned an older key of this master who came after it (``docs/protocol.md`` §3.5)."""

from group_protocol.errors import UnexpectedMessageError
from group_protocol.ports import RegistryIdentity
from group_protocol.succession import Succession, SuccessionRequest, changes_after
from master_api.context import MasterContext
from master_api.store.master_changes import fetch_master_changes


async def answer_succession(context: MasterContext, request: SuccessionRequest) -> Succession:
    """The changes after the address that the slave knows. All of it is public: the contract has it.

    Raises:
        UnexpectedMessageError: That address was never this master's, or is it still; the peer sees the uniform refusal.
        StoreError: The store failed.
    """
    group = context.group.require()
    rows = [row for row in await context.store.read(fetch_master_changes) if row.is_in_force]
    changes = changes_after([(row.old_address, row.change) for row in rows], request.master)
    if not changes:
        raise UnexpectedMessageError("nobody came after that master here")
    return Succession(group.gid, RegistryIdentity(group.row.chain_id, group.row.contract), changes)
