"""Structured logs: one line an entry, key=value or JSON, on stderr; or entries with fields in the journal.

Entries carry their values in ``extra={"fields": {…}}``; the message is a fixed text of ours. Secrets never get here:
keys, codes and tokens do not print, and text from a peer passes :func:`master_api.refusal_log.safe_text`.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from system_ports.journal import JournalHandler, fields_of, writes_to_journal


class TextFormatter(logging.Formatter):
    """``2026-01-01T00:00:00.000Z INFO vgroup.master.edge refused path=/data``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it if there is one."""
        fields = " ".join(f"{name}={_quoted(value)}" for name, value in fields_of(record).items())
        line = f"{_time(record)} {record.levelname} {record.name} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback is one of its fields."""
        entry = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry | fields_of(record), default=str)


def configure_logs(log_format: str, log_level: str, program: str = "vgroup") -> None:
    """Send everything to stderr in one of the two formats; text to the journal with its fields, where stderr is one.

    Args:
        log_format: text or json.
        log_level: The least that is said.
        program: What the journal shows as the program's name.
    """
    handler: logging.Handler
    if log_format == "text" and writes_to_journal():
        handler = JournalHandler(program)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # aiohttp logs what it cannot parse, with the peer's bytes; the edge logs the same event without them.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(character in text for character in ' ="\\\n\r\t') else text
