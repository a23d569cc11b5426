"""Certificate authorities, of no use to a device's daemon: it speaks to its master in sealed units, without TLS.

aiohttp makes a TLS context with all authorities of the system when it is imported: 2 MB that no device needs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PLACES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Where OpenSSL looks, if they are set."""


@contextmanager
def without_authorities() -> Iterator[None]:
    """TLS contexts made inside know no authority and trust nobody; those made afterwards are as ever."""
    before = {name: os.environ.get(name) for name in _PLACES}
    os.environ.update(dict.fromkeys(_PLACES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
