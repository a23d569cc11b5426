"""The pure core of virtual groups: messages, cryptography, state machines; no socket, clock or randomness."""
