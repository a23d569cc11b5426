"""A group's register through a gateway on another machine: the client's half of ``vgroup gateway run``.

Nothing here imports web3 or py-evm. What both halves agree on is in :mod:`chain_gateway.remote.wire` and
:mod:`chain_gateway.remote.signing`; ``docs/gateway.md`` says it in words.
"""
