"""First inputs for the decoders of the gateway's service and of its callers: one of each kind that travels."""

from chain_gateway.node_answers import Block
from chain_gateway.remote.signing import sign_request
from chain_gateway.remote.wire import dump, encode, encode_error, encode_log, encode_receipt
from group_protocol.crypto.keys import PrivateKey
from group_protocol.errors import ContractRefusal, Reason
from group_protocol.identifiers import Address
from group_protocol.membership import AssociationRefused, ChainPosition, GroupView
from group_protocol.ports import Receipt, RegistryIdentity
from group_protocol.typed_data import TypedDataDomain
from tests.registry_suite.signers import Signers, oid_of
from tests.support.contract_logs import CONTRACT, make_log


def gateway_seeds() -> dict[str, list[bytes]]:
    """Bodies and headers."""
    sign = Signers(TypedDataDomain(RegistryIdentity(7, CONTRACT)), 2_000_000_000)
    gid = sign.gid_of("master")
    at = ChainPosition(7, 1, b"\x01" * 32, b"\x02" * 32)
    values = [
        sign.create_group("master"),
        sign.associate("a", gid, master="master"),
        sign.revoke(gid, oid_of("a"), signer="master"),
        Block(1, b"\x01" * 32, b"\x02" * 32, 3, None, 5),
        GroupView(gid, Address(b"a" * 20), oid_of("a"), 1),
    ]
    receipt = Receipt(AssociationRefused(gid, 3, Reason.TOKEN_REFUSED, at), 9)
    refusal = ContractRefusal(Reason.TOKEN_REFUSED, "no", remedy="Ask.")
    log = make_log("Revoked", gid=b"g" * 16, oid=b"o" * 16, epoch=2)
    told = [encode_receipt(receipt), encode_error(refusal), encode_log(log), *map(encode, values)]
    proof = sign_request(PrivateKey.from_secret(b"\x11" * 32), bytes(32), 3, "GET", "/", b"")
    headers = "\n".join(proof.to_headers().values()).encode()
    return {
        "gateway_bodies": [b"{}", b"[]", *map(dump, told)],
        "gateway_headers": [headers, b"AA\n1\nAA", b""],
    }
