"""People of the registry suite: keys by name, and the requests that they sign."""

import hashlib
from dataclasses import dataclass

from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import Address, GroupId, ObjectId, Token, derive_object_id
from group_protocol.ports import (
    AnchorRequest,
    AssociationRequest,
    CreateGroupRequest,
    ExchangeProof,
    MasterRotationRequest,
    RevocationRequest,
    RotationRequest,
)
from group_protocol.tokens import issue_token
from group_protocol.typed_data import TypedDataDomain, derive_group_id

PAYLOAD_HASH = hashlib.sha256(b"a reading").digest()
ROOT = hashlib.sha256(b"a tree of records").digest()


def key_of(name: str) -> PrivateKey:
    """The same key for the same name in every run."""
    return PrivateKey.from_secret(hashlib.sha256(b"registry suite " + name.encode()).digest())


def salt_of(name: str) -> bytes:
    return hashlib.sha256(b"salt of " + name.encode()).digest()


def oid_of(name: str) -> ObjectId:
    return derive_object_id(key_of(name).address)


def address_of(name: str) -> Address:
    return key_of(name).address


@dataclass(frozen=True)
class Signers:
    """Makes requests for one contract; people are names."""

    domain: TypedDataDomain
    deadline_unix_s: int

    def gid_of(self, master: str, salt: str = "first") -> GroupId:
        return derive_group_id(self.domain.identity, address_of(master), salt_of(salt))

    def create_group(
        self, master: str, *, salt: str = "first", signer: str | None = None, deadline_unix_s: int | None = None
    ) -> CreateGroupRequest:
        deadline = self.deadline_unix_s if deadline_unix_s is None else deadline_unix_s
        digest = self.domain.create_group_digest(salt_of(salt), address_of(master), deadline)
        signature = key_of(signer or master).sign_digest(digest)
        return CreateGroupRequest(salt_of(salt), address_of(master), deadline, signature)

    def associate(
        self, slave: str, gid: GroupId, *, master: str, token: Token | None = None, deadline_unix_s: int | None = None
    ) -> AssociationRequest:
        deadline = self.deadline_unix_s if deadline_unix_s is None else deadline_unix_s
        token = token or issue_token(key_of(master), gid, address_of(slave))
        request = key_of(slave).sign_digest(self.domain.association_digest(gid, token, deadline))
        return AssociationRequest(gid, token, request, deadline)

    def revoke(
        self, gid: GroupId, oid: ObjectId, *, signer: str, deadline_unix_s: int | None = None
    ) -> RevocationRequest:
        deadline = self.deadline_unix_s if deadline_unix_s is None else deadline_unix_s
        signature = key_of(signer).sign_digest(self.domain.revocation_digest(gid, oid, deadline))
        return RevocationRequest(gid, oid, deadline, signature)

    def rotate(
        self,
        gid: GroupId,
        oid: ObjectId,
        *,
        old: str,
        new: str,
        new_address: Address | None = None,
        deadline_unix_s: int | None = None,
    ) -> RotationRequest:
        deadline = self.deadline_unix_s if deadline_unix_s is None else deadline_unix_s
        address = address_of(new) if new_address is None else new_address
        digest = self.domain.rotation_digest(gid, oid, address, deadline)
        by_old, by_new = key_of(old).sign_digest(digest), key_of(new).sign_digest(digest)
        return RotationRequest(gid, oid, address, deadline, by_old, by_new)

    def rotate_master(
        self,
        gid: GroupId,
        *,
        old: str,
        new: str,
        new_address: Address | None = None,
        deadline_unix_s: int | None = None,
    ) -> MasterRotationRequest:
        deadline = self.deadline_unix_s if deadline_unix_s is None else deadline_unix_s
        address = address_of(new) if new_address is None else new_address
        digest = self.domain.master_rotation_digest(gid, address, deadline)
        by_old, by_new = key_of(old).sign_digest(digest), key_of(new).sign_digest(digest)
        return MasterRotationRequest(gid, address, deadline, by_old, by_new)

    def exchange(
        self,
        gid: GroupId,
        sender: ObjectId,
        receiver: ObjectId,
        *,
        signer: str,
        seq: int = 1,
        epoch: int = 1,
    ) -> ExchangeProof:
        digest = self.domain.exchange_digest(gid, sender, receiver, PAYLOAD_HASH, seq, epoch)
        signature = key_of(signer).sign_digest(digest)
        return ExchangeProof(gid, sender, receiver, PAYLOAD_HASH, seq, epoch, signature)

    def anchor(self, gid: GroupId, *, signer: str, from_record: int = 1, to_record: int = 100) -> AnchorRequest:
        digest = self.domain.anchor_digest(gid, ROOT, from_record, to_record)
        return AnchorRequest(gid, ROOT, from_record, to_record, key_of(signer).sign_digest(digest))
