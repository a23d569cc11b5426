"""Property tests draw the same examples on every run, and never fail for being slow.

``VGROUP_HYPOTHESIS=deep`` draws many more, and others each time.
"""

import os

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.register_profile("deep", max_examples=4_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("VGROUP_HYPOTHESIS", "deterministic"))
