"""First inputs for the decoders of chain and files: answers of a node, and files as the programs write them."""

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from eth_abi.abi import encode

from chain_gateway.deployment import Deployment, write_deployment
from group_protocol.advertisement import Advertisement
from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import Address, GroupId, ObjectId, Token
from group_protocol.ports import RegistryIdentity
from master_api.backups.manifest import Manifest, Part
from slave_client.buffer_file import BufferFile
from slave_client.buffered_record import BufferedRecord, BufferLimits
from slave_client.device_state import DeviceState, Enrolment, JoinStep
from slave_client.keystore import KeyStore
from slave_client.state_directory import StateDirectory
from tests.fuzz.chain_targets import TOPICS
from tests.fuzz.edge_targets import CUT
from tests.fuzz.file_targets import STORAGE_SECRET
from tests.support.contract_logs import make_log
from tests.support.seeded import SeededRandom
from tests.unit.measure.results_of import results_with, times

_HASH, _ADDRESS = "0x" + "ab" * 32, "0x" + "cd" * 20


def chain_seeds() -> dict[str, list[bytes]]:
    """What a node answers."""
    log = {
        "address": _ADDRESS,
        "topics": [_HASH, _HASH],
        "data": "0x00ff",
        "blockNumber": "0x1",
        "blockHash": _HASH,
        "transactionHash": _HASH,
        "logIndex": "0x0",
        "removed": False,
    }
    block = {"number": "0x10", "hash": _HASH, "parentHash": _HASH, "timestamp": "0x65", "gasLimit": "0x1"}
    block["baseFeePerGas"] = "0x7"
    receipt = {
        "transactionHash": _HASH,
        "blockNumber": "0x1",
        "blockHash": _HASH,
        "status": "0x1",
        "gasUsed": "0x5208",
        "contractAddress": _ADDRESS,
        "logs": [log],
    }
    revert = {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}
    call = {"from": _ADDRESS, "to": _ADDRESS, "data": "0xab", "value": "0x1", "gas": "0xffff"}
    query = {"address": [_ADDRESS], "topics": [None, [_HASH, _HASH], _HASH]}
    return {
        "node_answers": [
            *(_dump(value) for value in (call, query, "0x10", "0xabcd")),
            *(_dump({"jsonrpc": "2.0", "id": 1, "result": result}) for result in (block, [log], receipt, "0x01", None)),
            *(
                _dump({"jsonrpc": "2.0", "id": 1, "error": error})
                for error in (revert, {"message": "nonce too low"}, 1)
            ),
        ],
        "chain_events": [*_event_series(), *(b"\xff" + output for output in _outputs())],
    }


def _outputs() -> list[bytes]:
    known = bytes.fromhex("08c379a0")
    return [*(bytes([number]) + encode(["uint64"], [1]) * 4 for number in range(6)), b"\x00" + known]


def _event_series() -> list[bytes]:
    gid, oid, account = GroupId(b"g" * 16), ObjectId(b"o" * 16), Address(b"a" * 20)
    slave, new = ObjectId(b"p" * 16), Address(b"n" * 20)
    logs = [
        make_log("GroupCreated", gid=gid, master=account, oid=oid, index=1),
        make_log("Associated", gid=gid, oid=slave, account=Address(b"b" * 20)),
        make_log("Rotated", gid=gid, oid=slave, newAddress=new, epoch=2),
        make_log("MasterRotated", gid=gid, newMaster=Address(b"m" * 20), epoch=3),
        make_log("Revoked", gid=gid, oid=slave, epoch=4),
    ]
    series = [
        bytes([TOPICS.index(log.topics[0]), len(log.topics) - 1, len(log.payload) // 32])
        + b"".join(log.topics[1:])
        + log.payload
        for log in logs
    ]
    return [b"".join(series[:end]) for end in range(1, len(series) + 1)]


def file_seeds() -> dict[str, list[bytes]]:
    """Files as the programs write them."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "settings": _settings(),
            "recordings": _recordings(),
            "state_files": _state_files(Path(folder) / "state"),
            "buffer_file": _buffer_files(Path(folder)),
            "backup_manifests": _manifests(),
        }


def _settings() -> list[bytes]:
    return [
        b'port = 3001\nsuites = ["H1", "E1"]\nchain = "http://127.0.0.1:8545"\nlog_format = "json"\n',
        b'via = "data"\nbatch_s = 0.5\n[[sensor]]\nkind = "replay"\npath = "pulse.csv"\nrate_hz = 100\n',
        b"replay:pulse.csv,rate_hz=100,repeat=yes",
    ]


def edge_seeds() -> dict[str, list[bytes]]:
    """Requests, cut into pieces."""
    post = b'POST /keysSession HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{"a":1}'
    chunks = b"POST /data HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{} {\r\n0\r\nX: 1\r\n\r\n"
    upgrade = b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    last = b"HEAD /healthz?a=1 HTTP/1.0\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
    whole = [post, chunks, upgrade, last]
    return {"edge": [*whole, post + CUT + upgrade, post + post, *(CUT.join((one[:9], one[9:])) for one in whole)]}


def finding_seeds() -> dict[str, list[bytes]]:
    """What a master advertises, and what is heard of it."""
    master = "5a" * 20
    return {
        "advertisements": [
            "\n".join(
                f"{key}={value}" for key, value in Advertisement(Address(b"Z" * 20)).to_properties().items()
            ).encode(),
            b"txtvers\nprotocol=1",
        ],
        "sightings": [
            json.dumps({"name": "vgroup 5a", "master": master, "hosts": hosts, "port": 3000}).encode()
            for hosts in (["192.0.2.7", "2001:db8::7"], ["fe80::1%lo", "127.0.0.1", "ward.local"], [])
        ],
    }


def _manifests() -> list[bytes]:
    parts = (Part("master.sqlite3", 4096, "0" * 64), Part("gateway/chain/chain.sqlite3", 0, "f" * 64))
    made_at = "2026-11-24T13:58:59+00:00"
    return [
        Manifest("0.1.0", "0x" + "5a" * 20, "67" * 16, made_at, 3, "sqlite", parts).to_json(),
        Manifest("0.1.0", "", "", made_at, 0, "postgresql", ()).to_json(),
    ]


def _recordings() -> list[bytes]:
    return [
        b"\x00512\n513\n510\n",
        b"\x01value\n0.5\n-1e3\n",
        b"\x020,512\n10,513\n20,510\n",
        b"\x03timer,hr\n0.0,512\n0.01,513\n",
        b'\x04datetime,hr\n"2016-11-24 13:58:58.081000",512\n2016-11-24T13:58:59Z,513\n',
    ]


def _state_files(folder: Path) -> list[bytes]:
    folder.mkdir(mode=0o700)
    store = KeyStore(StateDirectory(folder))
    store.make_keys(SeededRandom(3))
    store.make_candidate(SeededRandom(4))
    master = PrivateKey.from_secret(b"\x11" * 32).address
    paired = DeviceState(JoinStep.PAIRED, master, "ward.example", 3000, b"c" * 16, None)
    store.store_state(paired)
    unfinished = (folder / "state.json").read_bytes()
    gid, oid, contract = GroupId(b"g" * 16), ObjectId(b"o" * 16), Address(b"c" * 20)
    place = Enrolment(gid, oid, Address(b"a" * 20), Token(b"t" * 64), ObjectId(b"m" * 16), 1337, contract, 1)
    store.store_state(paired.enrolled(place))
    identity = RegistryIdentity(1337, Address(b"c" * 20))
    write_deployment(folder / "deployment.json", Deployment(identity, 7))
    results_with(times("vgroup", "assoc", 1.0, 2.0)).write(folder / "results.json")
    return [unfinished, *(path.read_bytes() for path in sorted(folder.glob("*.json")))]


def _buffer_files(folder: Path) -> list[bytes]:
    path = folder / "buffer.sqlite3"
    with closing(BufferFile(path, STORAGE_SECRET, BufferLimits(), SeededRandom(2))) as buffer:
        buffer.begin_numbers(1, was_sent=False)
        buffer.commit(
            [BufferedRecord(seq, ObjectId(b"m" * 16), b"payload", 1, 0.5) for seq in (1, 2, 3)], 0, 1.0, is_sending=True
        )
        buffer.set_aside(2, 36)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA page_size = 512")  # so that the whole of it is small enough to fuzz
        file.execute("VACUUM")
    whole = path.read_bytes()
    # SQLite quotes a table's text in its message, and Python finds that it is no text.
    return [whole, whole.replace(b"CREATE TABLE opening", b"CREATE TAB\xff\xfe opening")]


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()
