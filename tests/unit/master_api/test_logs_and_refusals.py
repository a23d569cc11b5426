import json
import logging
import sys

import pytest

from group_protocol.errors import DecodingError, StoreError, VerificationError
from master_api.audit import fetch_newest
from master_api.refusal_log import TEXT_MAX_CHARACTERS, safe_text
from system_ports.logs import JsonFormatter, TextFormatter
from tests.support.failing_store import failing_commits
from tests.support.master_parts import Parts


def entry(**fields: object) -> logging.LogRecord:
    record = logging.LogRecord("vgroup.master.edge", logging.WARNING, "x.py", 1, "refused", (), None)
    record.created = 1_700_000_000.5
    record.fields = fields
    return record


def test_text_entry_is_one_line_of_key_and_value() -> None:
    line = TextFormatter().format(entry(path="/data", cause='a "b"\nc', empty=""))
    assert line == (
        '2023-11-14T22:13:20.500Z WARNING vgroup.master.edge refused path=/data cause="a \\"b\\"\\nc" empty=""'
    )


def test_json_entry_is_one_object() -> None:
    parsed = json.loads(JsonFormatter().format(entry(path="/data", message="no")))
    assert parsed == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "WARNING",
        "logger": "vgroup.master.edge",
        "event": "refused",
        "path": "/data",
        "message": "no",
    }


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_traceback_is_kept(formatter: logging.Formatter) -> None:
    record = entry()
    try:
        raise ValueError("here")  # noqa: TRY301 - a traceback is wanted
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "ValueError: here" in formatter.format(record)


@pytest.mark.parametrize("hostile", ["\n", "\r", "\x1b[31m", "\x00", "\u202e", "\x7f", "\u2028"])
def test_peers_text_cannot_start_a_line_or_steer_a_terminal(hostile: str) -> None:
    shown = safe_text(f"/data{hostile}x")
    assert shown.isprintable()
    assert hostile not in shown


def test_peers_text_is_capped() -> None:
    assert len(safe_text("a" * 10_000)) == TEXT_MAX_CHARACTERS


async def test_refusals_are_counted_all_and_written_some(parts: Parts) -> None:
    refusals = parts.context.refusals
    for _ in range(50):
        refusals.note("/data\n", "10.0.0.1", DecodingError("no"))
    assert refusals.totals == {"DecodingError": 50}
    await parts.store.write(lambda _: None)
    newest = parts.store.read_now(lambda connection: fetch_newest(connection, 100))
    written = [json.loads(one.detail) for one in newest if one.kind == "peer.refused"]
    assert len(written) == 20
    assert written[0] == {
        "path": "/data\\x0a",
        "peer": "10.0.0.1",
        "cause": "DecodingError",
        "message": "no",
        "more_unwritten": 0,
    }
    parts.clock.advance(5)
    refusals.note("/data", "10.0.0.1", VerificationError("no"))
    await parts.store.write(lambda _: None)
    (last,) = parts.store.read_now(lambda connection: fetch_newest(connection, 1))
    assert json.loads(last.detail)["more_unwritten"] == 30


async def test_refusal_that_cannot_be_audited_is_no_failure(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    with failing_commits(parts.store):
        parts.context.refusals.note("/data", "10.0.0.1", StoreError("disk full"))
        with pytest.raises(StoreError):
            await parts.store.write(lambda _: None)
    assert "a refusal could not be audited" in caplog.text
