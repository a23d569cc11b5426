"""The ticket that admits nobody: by it a proven device hears why it is not let in (``docs/protocol.md`` §3.6)."""

import logging

from group_protocol.extensions import Standing
from group_protocol.handshake import Identity, MasterHandshake
from group_protocol.identifiers import TOKEN_BYTES, ObjectId, Token
from group_protocol.messages import SealedAnswer
from group_protocol.tickets import MembershipState, Ticket
from master_api.context import MasterContext
from system_ports.software import software_version

NO_TOKEN = Token(bytes(TOKEN_BYTES))

_log = logging.getLogger("vgroup.master.enrolment")


def turn_away(
    context: MasterContext, handshake: MasterHandshake, identity: Identity, oid: ObjectId, standing: Standing
) -> SealedAnswer:
    """M4 without a token. The session that it would open is forgotten: nothing is taken of this device."""
    group = context.group.require()
    ticket = Ticket(
        gid=group.gid,
        oid=oid,
        address=identity.address,
        token=NO_TOKEN,
        master_oid=group.master_oid,
        chain_id=group.row.chain_id,
        contract=group.row.contract,
        state=MembershipState.NOT_ASSOCIATED,
        epoch=0,
        deadline_unix_s=0,
        last_seq=0,
        terms=context.config.terms,
        software=software_version(),
        standing=standing,
    )
    _, m4 = handshake.admit(ticket)
    _log.info("turned away", extra={"fields": {"oid": oid.hex(), "standing": standing.name}})
    return m4
