"""The machine behind the core's ports: its clocks, its randomness, and files that only their owner may read.

All three tiers hand these in at their composition roots. It knows :mod:`group_protocol` and nobody else.
"""
