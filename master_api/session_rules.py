"""What a session's frames are judged by, kept from one frame to the next.

Making the rules anew for each frame took a tenth of what a frame of one reading costs. They hold as long as the group
does: the registry's view is never changed in place, so another view is another object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from group_protocol.identifiers import ObjectId
from group_protocol.intake import IntakeRules
from group_protocol.membership import Membership
from group_protocol.ports import GroupRegistry
from group_protocol.tickets import SessionTerms
from master_api.current_group import CurrentGroup, FormedGroup

if TYPE_CHECKING:
    from master_api.peer_post import FrameQuota, PeerPost
    from master_api.sessions import LiveSession


class SessionRules(NamedTuple):
    """Rules, and what they were made from.

    Attributes:
        quota: What the rules ask for room; of one frame alone, once that has taken places.
        keys: How many keys the device has had.
    """

    rules: IntakeRules
    quota: FrameQuota
    group: FormedGroup
    membership: Membership
    is_out: bool
    keys: int


class SessionRulesMaker:
    """Makes a session's rules, or answers those that still hold."""

    def __init__(self, group: CurrentGroup, registry: GroupRegistry, terms: SessionTerms, post: PeerPost) -> None:
        self._group = group
        self._registry = registry
        self._terms = terms
        self._post = post

    def of(self, live: LiveSession) -> tuple[IntakeRules, FrameQuota]:
        """The rules for the frame that is judged now, and its places in the queues of messages between slaves.

        Raises:
            UnexpectedMessageError: There is no group.
            RegistryInconsistent: The registry does not know the group.
        """
        kept, group, membership = live.records.rules, self._group.require(), self._registry.membership()
        if (
            kept is None
            or kept.membership is not membership
            or kept.group is not group
            or kept.is_out != (live.is_rotated or live.is_revoked)
            or kept.keys != len(live.records.keys)
            or kept.quota.taken
        ):
            kept = live.records.rules = self._make(live, group, membership)
        return kept.rules, kept.quota

    def _make(self, live: LiveSession, group: FormedGroup, membership: Membership) -> SessionRules:
        view = membership.objects.get(live.oid)
        is_out, keys = live.is_rotated or live.is_revoked, len(live.records.keys)

        def is_active_member(oid: ObjectId) -> bool:
            return membership.is_active_member(group.gid, oid)

        is_sender_active = is_active_member(live.oid) and view is not None and view.account == live.address
        quota = self._post.quota(live.oid, keys - 1)
        rules = IntakeRules(
            domain=group.domain,
            gid=group.gid,
            sender=live.oid,
            is_sender_active=is_sender_active and not is_out,
            epoch=self._group.view().epoch,
            address_in=live.records.address_in,
            is_active_member=is_active_member,
            master=group.master_oid,
            has_room=quota.has_room,
            terms=self._terms,
        )
        return SessionRules(rules, quota, group, membership, is_out, keys)
