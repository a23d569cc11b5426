"""Rules are kept while nothing changes, and made anew when anything that they say has."""

from group_protocol.identifiers import ObjectId
from group_protocol.intake import IntakeRules
from master_api.peer_post import FrameQuota
from master_api.session_rules import SessionRulesMaker
from master_api.sessions import LiveSession
from tests.support.master_parts import Parts, make_live


class Rules:
    """One session's."""

    def __init__(self, parts: Parts, oid: ObjectId) -> None:
        context = parts.context
        self.live: LiveSession = make_live(parts, oid)
        self._maker = SessionRulesMaker(context.group, parts.registry, context.config.terms, context.post)

    def now(self) -> tuple[IntakeRules, FrameQuota]:
        return self._maker.of(self.live)


async def test_rules_of_the_next_frame_are_the_same_objects(parts: Parts) -> None:
    rules = Rules(parts, await parts.enrol(5))
    first, quota = rules.now()
    again, same_quota = rules.now()
    assert (first is again, quota is same_quota, first.is_sender_active, first.epoch) == (True, True, True, 1)


async def test_revocation_of_another_device_is_in_the_next_rules(parts: Parts) -> None:
    oid, other = await parts.enrol(5), await parts.enrol(6)
    rules = Rules(parts, oid)
    before, _ = rules.now()
    assert before.is_active_member(other)
    await parts.revoke(other)
    after, _ = rules.now()
    assert (after.epoch, after.is_active_member(other), after.is_sender_active) == (2, False, True)


async def test_revocation_of_the_device_itself_is_in_the_next_rules(parts: Parts) -> None:
    oid = await parts.enrol(5)
    rules = Rules(parts, oid)
    assert rules.now()[0].is_sender_active
    await parts.revoke(oid)
    assert not rules.now()[0].is_sender_active


async def test_session_whose_device_has_another_key_now_sends_no_more(parts: Parts) -> None:
    rules = Rules(parts, await parts.enrol(5))
    assert rules.now()[0].is_sender_active
    rules.live.is_rotated = True
    assert not rules.now()[0].is_sender_active


async def test_frame_that_took_places_leaves_its_quota_to_itself(parts: Parts) -> None:
    oid, other = await parts.enrol(5), await parts.enrol(6)
    rules = Rules(parts, oid)
    first, quota = rules.now()
    assert first.has_room(other)
    second, next_quota = rules.now()
    assert next_quota is not quota
    assert second.has_room(other)
    assert (quota.taken, next_quota.taken) == ({(other, oid): 1}, {(other, oid): 1})
