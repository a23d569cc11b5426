"""The machine behind the core's ports, and what every program of ours needs of it.

Clocks, randomness, files that only their owner may read; settings, logs, rate limits, the HTTP server under an edge.
All three tiers hand these in at their composition roots. It knows :mod:`group_protocol` and nobody else.
"""
