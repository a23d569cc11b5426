import array
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import StoreError
from system_ports.journal import JournalHandler, encode_entry, writes_to_journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.settimeout(5)
        yield listener


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[logging.Logger]:
    handler = JournalHandler("vgroup-test", tmp_path / "socket")
    logger = logging.Logger("vgroup.test", logging.DEBUG)  # noqa: LOG001 - one that no other test shares
    logger.addHandler(handler)
    yield logger
    handler.close()


def fields_of(entry: bytes) -> dict[str, str]:
    """Read as journald does: NAME=value lines, or NAME, newline, 8 bytes of length, value."""
    fields = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if equals:
            fields[name.decode()], entry = value.decode(), rest
        else:
            length = int.from_bytes(rest[:8], "little")
            assert rest[8 + length : 9 + length] == b"\n"
            fields[name.decode()], entry = rest[8 : 8 + length].decode(), rest[9 + length :]
    return fields


def test_entry_carries_message_severity_and_fields(journal: socket.socket, logger: logging.Logger) -> None:
    logger.warning("refused", extra={"fields": {"peer": "192.0.2.7", "status": 400}})
    fields = fields_of(journal.recv(65_536))
    assert fields["MESSAGE"] == "refused peer=192.0.2.7 status=400"
    assert (fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"], fields["LOGGER"]) == ("4", "vgroup-test", "vgroup.test")
    assert (fields["VGROUP_EVENT"], fields["VGROUP_PEER"], fields["VGROUP_STATUS"]) == ("refused", "192.0.2.7", "400")
    assert fields["CODE_FILE"] == __file__


def test_entry_about_an_error_of_ours_carries_its_code(journal: socket.socket, logger: logging.Logger) -> None:
    error = StoreError("full", code=ErrorCode.DISK_REFUSES)
    logger.warning("cannot write: %s", error)
    assert fields_of(journal.recv(65_536))["VGROUP_CODE"] == "disk-refuses"
    logger.warning("cannot write", exc_info=error)
    assert fields_of(journal.recv(65_536))["VGROUP_CODE"] == "disk-refuses"
    logger.warning("cannot write", extra={"fields": error.as_fields()})
    assert fields_of(journal.recv(65_536))["VGROUP_CODE"] == "disk-refuses"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (logging.WARNING, "4"), (logging.ERROR, "3"), (logging.CRITICAL, "2")],
)
def test_level_becomes_a_syslog_severity(
    journal: socket.socket, logger: logging.Logger, level: int, priority: str
) -> None:
    logger.log(level, "x")
    assert fields_of(journal.recv(65_536))["PRIORITY"] == priority


def test_value_with_newlines_forges_no_field(journal: socket.socket, logger: logging.Logger) -> None:
    logger.info("x", extra={"fields": {"peer": "a\nPRIORITY=0\n"}})
    fields = fields_of(journal.recv(65_536))
    assert fields["PRIORITY"] == "6"
    assert fields["VGROUP_PEER"] == "a\nPRIORITY=0\n"


def test_name_of_a_field_is_made_one_that_the_journal_takes() -> None:
    assert encode_entry({"_VGROUP_A-B\nC=D": "v"}) == b"VGROUP_A_B_C_D=v\n"


def test_traceback_stands_in_message_and_field(journal: socket.socket, logger: logging.Logger) -> None:
    try:
        raise ValueError("broken")  # noqa: TRY301 - a traceback is what is tested
    except ValueError:
        logger.exception("failed")
    fields = fields_of(journal.recv(65_536))
    assert fields["MESSAGE"].startswith("failed\nTraceback")
    assert "ValueError: broken" in fields["VGROUP_TRACEBACK"]


def test_entry_too_long_for_a_datagram_goes_as_a_sealed_file(journal: socket.socket, logger: logging.Logger) -> None:
    logger.info("x" * 300_000)
    _, ancillary, _, _ = journal.recvmsg(16, socket.CMSG_SPACE(4))
    descriptors = array.array("i", ancillary[0][2])
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        assert fields_of(file.read())["MESSAGE"] == "x" * 300_000


def test_journal_that_is_not_there_stops_nothing(logger: logging.Logger) -> None:
    logger.info("lost")


def test_stream_of_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert writes_to_journal(environment, stream.fileno())
        assert not writes_to_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}, stream.fileno())
        assert not writes_to_journal({}, stream.fileno())
        assert not writes_to_journal({"JOURNAL_STREAM": "x"}, sys.stderr.fileno())
