from group_protocol.crypto.kdf import derive, hkdf_expand_one_block, hkdf_extract, hmac_sha256


def test_hkdf_of_rfc_5869_case_1_begins_with_its_block() -> None:
    prk = hkdf_extract(bytes(range(13)), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    block = hkdf_expand_one_block(prk, bytes(range(0xF0, 0xFA)))
    assert block.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_hkdf_of_rfc_5869_case_3_has_no_salt() -> None:
    prk = hkdf_extract(b"", b"\x0b" * 22)
    assert prk.hex() == "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"
    assert hkdf_expand_one_block(prk, b"").hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


def test_label_and_context_are_kept_apart() -> None:
    key = bytes(range(32))
    info = b"\0\0\0\x0evgroup/1 m fin\0\0\0\x03abc"
    assert derive(key, "m fin", b"abc") == hmac_sha256(key, info + b"\x01")
    assert derive(key, "upd") == hmac_sha256(key, b"\0\0\0\x0cvgroup/1 upd\0\0\0\0\x01")
