"""A daemon's imports load no certificate authority, and whoever makes a context later has them all."""

import json
import subprocess
import sys

_LOOKS = """
import json, os
from slave_client.authorities import without_authorities
with without_authorities():
    import slave_client.composition
    import aiohttp.connector
inside = aiohttp.connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509_ca"]
print(json.dumps([inside, {name: value for name, value in os.environ.items() if name.startswith("SSL_")}]))
"""


def test_imports_inside_load_none_and_the_environment_is_as_before() -> None:
    place = "/etc/ssl/certs/a-file-of-the-users.pem"
    shown = subprocess.run(
        [sys.executable, "-c", _LOOKS], capture_output=True, text=True, check=True, env={"SSL_CERT_FILE": place}
    )
    authorities, places = json.loads(shown.stdout)
    assert (authorities, places) == (0, {"SSL_CERT_FILE": place})


def test_command_line_of_the_daemon_loads_neither_rich_nor_the_package_index() -> None:
    looks = (
        "import sys, vgroup.application, slave_client.cli; print(*[m for m in ('rich', 'aiohttp') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []
