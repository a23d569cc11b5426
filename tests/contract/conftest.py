"""A fresh register for every test."""

import pytest

from tests.contract.acts import Actor
from tests.contract.local_evm import LocalEvm
from tests.contract.local_register import LocalRegister
from tests.contract.scenario import Ward, ward


@pytest.fixture
def register() -> LocalRegister:
    return LocalRegister.deploy(LocalEvm())


@pytest.fixture
def group(register: LocalRegister) -> Ward:
    """A group with its master and nobody else."""
    made = ward(register, "the first ward")
    assert made.create().succeeded
    return made


@pytest.fixture
def other_group(register: LocalRegister) -> Ward:
    made = ward(register, "the second ward")
    assert made.create().succeeded
    return made


@pytest.fixture
def slave(group: Ward) -> Actor:
    """A member of the first group."""
    member = Actor.named("slave")
    assert group.associate(member).succeeded
    return member


@pytest.fixture
def revoked_slave(group: Ward) -> Actor:
    """A device that was a member of the first group."""
    member = Actor.named("revoked slave")
    assert group.associate(member).succeeded
    assert group.revoke(member.oid).succeeded
    return member


@pytest.fixture
def stranger() -> Actor:
    """Somebody the register does not know."""
    return Actor.named("stranger")
