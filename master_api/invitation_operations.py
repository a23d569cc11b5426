"""What an operator can ask about invitations: pairing strings for one device, or for many."""

from collections.abc import Sequence
from dataclasses import dataclass

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import Reason, RefusedError
from master_api.descriptions import JsonObject, iso_time
from master_api.group_operations import GroupOperations
from master_api.names import INVITATIONS_MAX, numbered_names, require_name
from master_api.pairing import invite_all
from master_api.service import MasterService


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where devices find this master."""

    host: str
    port: int


class InvitationOperations(GroupOperations):
    """The part of one master's operations that invites devices, into a group that there has to be."""

    def __init__(self, service: MasterService, endpoint: Endpoint) -> None:
        super().__init__(service)
        self._endpoint = endpoint

    async def invite_device(
        self, name: str, lifetime_s: float | None = None, host: str | None = None, port: int | None = None
    ) -> JsonObject:
        """Make a pairing string for one device."""
        (invitation,) = await self._invite([name], lifetime_s, host, port)
        return invitation

    async def invite_devices(
        self, name: str, count: int, lifetime_s: float | None = None, host: str | None = None, port: int | None = None
    ) -> JsonObject:
        """Make pairing strings for NAME-01, NAME-02, …: all of them, or none.

        Raises:
            RefusedError: The count is not 1 to :data:`INVITATIONS_MAX`, a name would be too long, or there is no group.
        """
        if not 1 <= count <= INVITATIONS_MAX:
            raise RefusedError(
                Reason.BAD_RANGE,
                f"the count has to be 1 to {INVITATIONS_MAX}",
                remedy="Invite in several lots.",
                code=ErrorCode.ARGUMENT_WRONG,
            )
        names = numbered_names(name, count)
        return {"invitations": await self._invite(names, lifetime_s, host, port)}

    async def _invite(
        self, names: Sequence[str], lifetime_s: float | None, host: str | None, port: int | None
    ) -> list[JsonObject]:
        for name in names:
            require_name(name)
        await self.show_group()
        lifetime_s = lifetime_s or self._context.config.pairing_lifetime_s
        endpoint = Endpoint(host or self._endpoint.host, port or self._endpoint.port)
        return [
            {
                "name": invitation.device_name,
                "pairing_string": invitation.pairing.to_text(),
                "expires_at": iso_time(invitation.expires_at_unix_s),
            }
            for invitation in await invite_all(self._context, names, endpoint.host, endpoint.port, lifetime_s)
        ]
