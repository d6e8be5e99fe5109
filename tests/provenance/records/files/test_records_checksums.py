"""Checksums are kept in their own bytes, and read back as the words that they were."""

from jobprov.provenance.records.files.checksums import pack_checksums, unpack_checksums

SHA256, SHA512 = "ab" * 32, "01" * 64
CHECKSUMS = (
    "",
    "adler32:0badcafe",
    f"adler32:0badcafe sha256:{SHA256}",
    "crc32:00000001 crc32c:ffffffff",
    f"md5:{'0f' * 16} sha1:{'10' * 20} sha512:{SHA512}",
    "md5:1",
    "adler32:0BADCAFE",
    "enstore:1:2345 größe:ü",
    f"sha256:{SHA256[:-2]} whirlpool:{SHA512}",
    f"sha256:{SHA256[:-1]}g",
)


def test_checksums_are_packed_in_half_the_bytes_and_come_back() -> None:
    for words in CHECKSUMS:
        assert unpack_checksums(pack_checksums(words)) == words
    assert len(pack_checksums(f"adler32:0badcafe sha256:{SHA256}")) == 38
