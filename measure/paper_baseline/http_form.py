"""HTTP around the bodies: paths, headers and the captured sizes.

Figures 9 to 13 show method, path, status, content type and the bytes of each direction, not the headers. The headers
here are those of axios (client) and Express (server), the usual pair of a Node.js program of 2022: with them, the two
captured sizes whose bodies hold nothing random, the 357 bytes of /getTicket and the 209 bytes of /assoc's answer, come
out to the byte (for the paper's `Host: 192.168.11.101:3000`).
"""

import base64
import hashlib
from dataclasses import dataclass

KEY_SESSION_PATH = "/keysSession"
TICKET_PATH = "/getTicket"
ASSOCIATION_PATH = "/assoc"
DATA_PATH = "/data"
"""Assumed: the paper names no path for data."""

REQUEST_HEADERS = {
    "Accept": "application/json, text/plain, */*",
    "Content-Type": "application/json",
    "User-Agent": "axios/0.27.2",
}
"""Beside Host, Content-Length and `Connection: close`, which the HTTP library writes."""

JSON_TYPE = "application/json"
TICKET_TYPE = "text/html"
"""Figure 11's packet list: /getTicket is answered as text/html, what Express makes of a text."""


def answer_headers(body: bytes) -> dict[str, str]:
    """Express's own headers, beside Content-Type, Content-Length, Date and `Connection: close`."""
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
    return {"X-Powered-By": "Express", "ETag": f'W/"{len(body):x}-{digest[:27]}"'}


@dataclass(frozen=True, slots=True)
class StepBytes:
    """What one step sends and gets, headers and body, without TCP and below."""

    path: str
    request_bytes: int
    answer_bytes: int


CAPTURED = (
    StepBytes(KEY_SESSION_PATH, 1727, 2122),
    StepBytes(TICKET_PATH, 357, 790),
    StepBytes(ASSOCIATION_PATH, 984, 209),
)
"""From the sequence numbers in Figures 9, 10, 11 and 13: 6,189 bytes over three connections."""
