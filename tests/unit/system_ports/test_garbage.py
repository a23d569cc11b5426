"""The collector of a process that serves for weeks."""

import subprocess
import sys

_LOOKS = """
import gc
from system_ports.garbage import settle_collector
loaded = [[] for _ in range(1_000)]
settle_collector()
print(gc.get_freeze_count() > 1_000, gc.isenabled(), gc.get_threshold()[0])
"""


def test_what_was_loaded_before_is_not_looked_at_again_and_new_cycles_still_are() -> None:
    shown = subprocess.run([sys.executable, "-c", _LOOKS], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["True", "True", "20000"]
