"""The bodies against what Figures 9 to 13 show: member names, their order, lengths."""

import base64
import json

from coincurve import PublicKey

from measure.paper_baseline.ciphers import SessionKey, decrypt, public_pem
from measure.paper_baseline.http_form import CAPTURED, REQUEST_HEADERS, answer_headers
from measure.paper_baseline.master import MasterKeys, PaperMaster, issue_ticket
from measure.paper_baseline.messages import TRUE, TicketRequest
from measure.paper_baseline.signatures import derive_object_id
from measure.paper_baseline.slave import (
    Device,
    accept_key_session,
    accept_ticket,
    prepare_association_request,
    prepare_data_message,
    prepare_key_session_request,
    prepare_ticket_request,
)

FIGURE_11_KEY = bytes.fromhex(
    "0494fe008e4f92d91490699b2446b5eba94b1c8994ada07a98fc38444bea05c8d7"
    "0e98fd7be93b226fd23301ad0b862113a9b9a57d67cd312bd7294fcd686f9d9c"
)
"""Two reading errors of the figure's scan are mended; it is a point of secp256k1 then."""

PAPER_HOST = "192.168.11.101:3000"


def header_bytes(first_line: str, headers: dict[str, str]) -> int:
    """Of an HTTP message's head, with the empty line that ends it."""
    return len("\r\n".join([first_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]))


def test_key_session_request_has_members_of_figure_9(device: Device) -> None:
    document = json.loads(prepare_key_session_request(device))

    assert list(document) == ["slavePubRSAKey", "oid"]
    assert list(document["slavePubRSAKey"]) == ["type", "data"]
    assert document["slavePubRSAKey"]["type"] == "Buffer"
    assert bytes(document["slavePubRSAKey"]["data"]) == public_pem(device.rsa_key)
    assert document["oid"] == device.object_id.hex()


async def test_key_session_answer_has_members_of_figure_10(master: PaperMaster, device: Device) -> None:
    document = json.loads(await master.answer_key_session(prepare_key_session_request(device)))

    assert list(document) == ["MasterPubRSAKey", "encryptedAESKey"]
    assert document["MasterPubRSAKey"]["type"] == "Buffer"
    assert bytes(document["MasterPubRSAKey"]["data"]).startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert len(base64.b64decode(document["encryptedAESKey"])) == 256


def test_ticket_request_for_the_key_of_figure_11_is_the_captured_body() -> None:
    PublicKey(FIGURE_11_KEY)
    object_id = derive_object_id(FIGURE_11_KEY)

    body = TicketRequest(object_id, FIGURE_11_KEY).encode()

    assert object_id.hex() == "9d9c"
    assert json.loads(body) == {"oid": "9d9c", "objectPubKey": FIGURE_11_KEY.hex()}
    assert list(json.loads(body)) == ["oid", "objectPubKey"]


async def test_ticket_answer_has_the_member_of_figure_12_and_holds_what_the_text_names(
    master: PaperMaster, master_keys: MasterKeys, device: Device
) -> None:
    session = accept_key_session(device, await master.answer_key_session(prepare_key_session_request(device)))
    answer = json.loads(await master.answer_ticket(prepare_ticket_request(device)))
    clear = json.loads(decrypt(session, base64.b64decode(answer["token"])))

    assert list(answer) == ["token"]
    assert list(clear) == ["gid", "oid", "publicAddr", "signature"]
    assert clear["gid"] == master_keys.group_id.hex()
    assert len(clear["publicAddr"]["data"]) == 20
    assert len(clear["signature"]["data"]) == 64


async def test_association_request_has_members_of_figure_13_and_is_answered_true(
    master: PaperMaster, device: Device
) -> None:
    session = accept_key_session(device, await master.answer_key_session(prepare_key_session_request(device)))
    ticket = accept_ticket(session, await master.answer_ticket(prepare_ticket_request(device)))
    body = prepare_association_request(device, session, ticket)

    assert list(json.loads(body)) == ["oid", "token"]
    assert await master.answer_association(body) == TRUE


async def test_association_token_begins_as_the_ticket_does_though_it_is_longer(
    master: PaperMaster, device: Device
) -> None:
    session = accept_key_session(device, await master.answer_key_session(prepare_key_session_request(device)))
    answer = await master.answer_ticket(prepare_ticket_request(device))
    ticket_text = json.loads(answer)["token"]
    body = prepare_association_request(device, session, accept_ticket(session, answer))
    association_text = json.loads(body)["token"]

    assert association_text[:60] == ticket_text[:60]
    assert len(association_text) > len(ticket_text)


def test_data_message_holds_object_id_and_encrypted_data(device: Device, master_keys: MasterKeys) -> None:
    session = SessionKey(bytes(32), bytes(16))
    ticket = issue_ticket(master_keys, TicketRequest(device.object_id, device.public_key))

    document = json.loads(prepare_data_message(device, session, ticket, b"heart rate 72"))

    assert list(document) == ["oid", "data"]
    assert decrypt(session, base64.b64decode(document["data"])) == b"heart rate 72"


def test_ticket_request_with_assumed_headers_is_as_long_as_captured() -> None:
    body = TicketRequest(derive_object_id(FIGURE_11_KEY), FIGURE_11_KEY).encode()
    headers = {**REQUEST_HEADERS, "Content-Length": str(len(body)), "Host": PAPER_HOST, "Connection": "close"}

    assert header_bytes("GET /getTicket HTTP/1.1", headers) + len(body) == CAPTURED[1].request_bytes


def test_association_answer_with_assumed_headers_is_as_long_as_captured() -> None:
    headers = {
        **answer_headers(TRUE),
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(TRUE)),
        "Date": "Fri, 05 Aug 2022 10:00:00 GMT",
        "Connection": "close",
    }

    assert header_bytes("HTTP/1.1 200 OK", headers) + len(TRUE) == CAPTURED[2].answer_bytes


def test_entity_tag_of_true_is_the_one_that_express_sends() -> None:
    assert answer_headers(TRUE)["ETag"] == 'W/"4-X/5TO4MPCKAyY0ipFgr6/IraRNs"'


def test_captured_bytes_add_up_to_6189() -> None:
    assert sum(step.request_bytes + step.answer_bytes for step in CAPTURED) == 6189


def test_pem_is_as_long_as_node_exports_it(device: Device) -> None:
    assert len(public_pem(device.rsa_key)) == 451
