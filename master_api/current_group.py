"""The group that the master serves. There is none before ``vgroup group create``."""

from dataclasses import dataclass

from group_protocol.errors import RegistryInconsistent, UnexpectedMessageError
from group_protocol.identifiers import GroupId, ObjectId
from group_protocol.membership import GroupView
from group_protocol.ports import GroupRegistry, RegistryIdentity
from group_protocol.typed_data import TypedDataDomain
from master_api.store.groups import GroupRow


@dataclass(frozen=True, slots=True)
class FormedGroup:
    """A group that the contract has confirmed, with what is signed in its name."""

    row: GroupRow
    domain: TypedDataDomain

    @property
    def gid(self) -> GroupId:
        """16 bytes."""
        return self.row.gid

    @property
    def master_oid(self) -> ObjectId:
        """16 bytes: the receiver of what is meant for the master."""
        return self.row.master_oid


class CurrentGroup:
    """Holds the group; services ask it at each message, so that creating the group needs no restart."""

    def __init__(self, registry: GroupRegistry) -> None:
        self._registry = registry
        self._formed: FormedGroup | None = None

    def adopt(self, row: GroupRow) -> None:
        """Serve this group from now on."""
        self._formed = FormedGroup(row, TypedDataDomain(RegistryIdentity(row.chain_id, row.contract)))

    def disown(self) -> None:
        """Serve no group any more: the one in the store is another contract's."""
        self._formed = None

    @property
    def formed(self) -> FormedGroup | None:
        """The group, or None."""
        return self._formed

    def require(self) -> FormedGroup:
        """The group.

        Raises:
            UnexpectedMessageError: There is none yet.
        """
        if self._formed is None:
            raise UnexpectedMessageError("this master has no group yet")
        return self._formed

    def view(self) -> GroupView:
        """The group as the registry has it now, with its epoch.

        Raises:
            RegistryInconsistent: The registry does not know the group that its contract confirmed.
        """
        view = self._registry.membership().groups.get(self.require().gid)
        if view is None:
            raise RegistryInconsistent("the registry does not know this master's group")
        return view
