"""The pure core of virtual groups: identifiers, messages, cryptography, state machines, records, membership, ports.

Nothing here opens a socket or file, asks for the time, or draws randomness: all three are handed in.
"""
