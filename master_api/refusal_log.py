"""Keeps refused strangers from filling the log: each is counted, few are written."""

import logging
from collections import Counter

from group_protocol.errors import RemoteProtocolError, StoreError, VirtualGroupError
from group_protocol.ports import Clock
from master_api.audit import AuditKind, AuditLog
from master_api.store.store import Store
from system_ports.rate_limits import Rate, TokenBucket

REFUSALS_WRITTEN = Rate(per_s=0.2, burst=20)
"""At most 20 entries at once and 17,280 a day, about 5 MB, whatever strangers do."""
TEXT_MAX_CHARACTERS = 120

_log = logging.getLogger("vgroup.master.refusals")


class RefusalLog:
    """Writes refusals to the log and, bounded, to the audit log."""

    def __init__(self, store: Store, audit: AuditLog, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._bucket = TokenBucket(REFUSALS_WRITTEN, clock.monotonic_s())
        self._unwritten = 0
        self.totals: Counter[str] = Counter()

    def note(self, path: str, peer: str, error: VirtualGroupError) -> None:
        """A peer was refused on a path; ``error`` says why, in words of ours."""
        cause = type(error).__name__
        self.totals[cause] += 1
        if self._bucket.seconds_until_token(self._clock.monotonic_s()) > 0:
            self._unwritten += 1
            return
        self._bucket.take()
        detail: dict[str, str | int] = {
            "path": safe_text(path),
            "peer": safe_text(peer),
            "cause": cause if isinstance(error, RemoteProtocolError) else "internal",
            "message": safe_text(str(error)),
            "more_unwritten": self._unwritten,
        }
        self._unwritten = 0
        _log.warning("refused", extra={"fields": detail | {"code": error.code}})
        try:
            written = self._store.submit(
                lambda connection: self._audit.append(connection, AuditKind.PEER_REFUSED, detail)
            )
        except StoreError as exc:
            _log_failure(exc)
        else:
            written.add_done_callback(lambda done: _log_failure(done.exception()))


def _log_failure(error: BaseException | None) -> None:
    if error is not None:
        _log.error("a refusal could not be audited", extra={"fields": {"message": str(error)}})


def safe_text(text: str) -> str:
    """Text from a peer, capped, with nothing in it that could start a line or steer a terminal."""
    capped = text if len(text) <= TEXT_MAX_CHARACTERS else text[: TEXT_MAX_CHARACTERS - 1] + "…"
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in capped)
