"""Bounds of the protocol, each with its unit and origin (``docs/protocol.md``)."""

HANDSHAKE_BODY_MAX_BYTES = 8_192
"""Bodies of /keysSession, /getTicket and /assoc (§2). The largest honest one, M1 of R1 with RSA-3072 or H1, stays
under 1,900."""
DATA_BODY_MAX_BYTES = 262_144
"""Body of /data (§2)."""
FRAME_MAX_BYTES = 196_000
"""Plaintext of one sealed unit: fits a /data body after base64 (4/3) and JSON around it."""
STREAM_MESSAGE_MAX_BYTES = 16 + 8 + FRAME_MAX_BYTES + 16
"""One WebSocket message: sid (first only), seq, sealed frame with its tag (§5.3)."""
PAYLOAD_MAX_BYTES = 65_536
"""Largest payload of one record that a master may announce in M4 (§3.4)."""
READINGS_MAX = 1_024
"""Readings (SenML records) in one payload (§6)."""
OFFERS_MAX = 4
"""Entries of `suites` and of `aeads` in M1 (§2)."""
OFFER_NAME_MAX_CHARACTERS = 16
JSON_INTEGER_MAX = 2**53 - 1
"""Integers in bodies stay exact in every JSON implementation (§2, RFC 8259 §6)."""
SEQ_LIMIT = 1 << 48
"""seq of a sealed unit stays below this (§5.1)."""
GENERATION_BITS = 16
"""Units per key generation: 2^16 (§5.1), far below AES-GCM's 2^32 random-nonce and 2^34.5-block bounds."""
GENERATION_MAX_AGE_S = 3_600
"""A live channel moves to the next generation after this long (§5.1)."""
REPLAY_WINDOW = 64
"""Units behind the highest seq that a request channel still takes or answers again (§5.2)."""
HALF_OPEN_LIFETIME_S = 30
"""A session without a verified M3 is forgotten after this (§3.4)."""
SESSION_LIFETIME_S = 86_400
"""A fresh exchange at least daily."""
PAIRING_CODE_BYTES = 16
PAIRING_LIFETIME_S = 900
"""Default lifetime of a pairing code: 15 minutes (§4)."""
PAIRING_WRONG_PROOFS_MAX = 5
"""Wrong proofs that lock a code (§4)."""
ASSOCIATION_BATCH_MAX = 150
"""Associations in one transaction: at the gateway's 90,000 gas each they stay below EIP-7825's 2^24 gas."""
RECORD_SEQ_LIMIT = 1 << 56
"""A record's seq fits the contract's 56-bit field."""
SENSOR_NAME_MAX_CHARACTERS = 255
"""A resolved SenML name; without a bound one long base name times 1,024 readings would fill memory (§6)."""
READING_TIME_LIMIT_S = 253_402_300_800
"""A reading's time lies before the year 10000, where calendars of most libraries end (§6)."""
