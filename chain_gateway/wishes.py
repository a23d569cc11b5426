"""The port's requests as wishes: which event each wants to see, and by which signature it is known again."""

from chain_gateway.wish import Wish
from group_protocol.crypto.keys import recover_address
from group_protocol.errors import VerificationError
from group_protocol.identifiers import Address, derive_object_id
from group_protocol.membership import (
    Anchored,
    Associated,
    ExchangeRecorded,
    GroupCreated,
    MasterRotated,
    Membership,
    ObjectState,
    ObjectView,
    Revoked,
    Rotated,
)
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    MasterRotationRequest,
    RevocationRequest,
    RotationRequest,
)
from group_protocol.typed_data import TypedDataDomain


def create_group(request: CreateGroupRequest) -> Wish[GroupCreated]:
    """A group of this master; it has one."""
    return Wish(
        GroupCreated,
        request.master,
        lambda event: event.master == request.master,
        request.signature,
        lambda membership: any(view.master == request.master for view in membership.groups.values()),
    )


def associate(domain: TypedDataDomain, request: AssociationRequest) -> Wish[Associated]:
    """The association of the device that signed."""
    account = _signer(domain, request)
    oid = derive_object_id(account)

    def is_slave(membership: Membership) -> bool:
        view = membership.objects.get(oid)
        return view == ObjectView(oid, request.gid, account, ObjectState.SLAVE)

    return Wish(
        Associated,
        oid,
        lambda event: (event.gid, event.account) == (request.gid, account),
        request.request,
        is_slave,
    )


def revoke(request: RevocationRequest) -> Wish[Revoked]:
    """A revocation; it is for good, unless a fork takes it away."""

    def is_revoked(membership: Membership) -> bool:
        view = membership.objects.get(request.oid)
        return view is not None and view.state is ObjectState.REVOKED

    return Wish(
        Revoked,
        request.oid,
        lambda event: (event.gid, event.oid) == (request.gid, request.oid),
        request.signature,
        is_revoked,
    )


def rotate(request: RotationRequest) -> Wish[Rotated]:
    """A change of key, for as long as no other followed."""

    def is_in_force(membership: Membership) -> bool:
        view = membership.objects.get(request.oid)
        return view is not None and view.account == request.new_address and view.state is ObjectState.SLAVE

    return Wish(
        Rotated,
        request.new_address,
        lambda event: (event.gid, event.oid) == (request.gid, request.oid),
        request.by_old,
        is_in_force,
    )


def rotate_master(request: MasterRotationRequest) -> Wish[MasterRotated]:
    """The same of a master."""

    def is_in_force(membership: Membership) -> bool:
        view = membership.groups.get(request.gid)
        return view is not None and view.master == request.new_master

    return Wish(
        MasterRotated,
        request.new_master,
        lambda event: (event.gid, event.new_master) == (request.gid, request.new_master),
        request.by_old,
        is_in_force,
    )


def record_exchange(proof: ExchangeProof) -> Wish[ExchangeRecorded]:
    """An exchange on the chain."""
    return Wish(
        ExchangeRecorded,
        proof.payload_hash,
        lambda event: (event.gid, event.sender, event.seq) == (proof.gid, proof.sender, proof.seq),
        proof.signature,
        lambda _: True,
    )


def anchor(request: AnchorRequest) -> Wish[Anchored]:
    """An anchor. The contract would take it again; readers keep the first."""
    return Wish(
        Anchored,
        request.root,
        lambda event: (
            (event.gid, event.root, event.from_record, event.to_record)
            == (request.gid, request.root, request.from_record, request.to_record)
        ),
        request.signature,
        lambda _: True,
    )


_NOBODY = Address(bytes(20))


def _signer(domain: TypedDataDomain, request: AssociationRequest) -> Address:
    """Who signed, by the contract's own rule; nobody where the signature is none: then the contract refuses too."""
    digest = domain.association_digest(request.gid, request.token, request.deadline_unix_s)
    try:
        return recover_address(digest, request.request)
    except VerificationError:
        return _NOBODY
