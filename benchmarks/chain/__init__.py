"""``make bench-chain``: gas, time to join, associations a second and time to cut off, on three chains."""
