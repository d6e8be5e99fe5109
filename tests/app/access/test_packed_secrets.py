"""Secrets in archives and compressed files are refused, and no such file costs much."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time
import zipfile
from collections.abc import Callable

import pytest
import zstandard
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.services.intake.secrets import find_secret
from tests.library.databases import on_sqlite_alone
from tests.library.records import sha256

MIB = 1 << 20
SECRET = b"first line\nmachine db.example.org login ada password hunter2Canary7\nlast line\n"
HARMLESS = b"an event went by, and nothing was wrong with it\n"


def tar_of(*contents: bytes, form: int = tarfile.PAX_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for number, content in enumerate(contents):
            # So long that it stands in a header of its own
            member = tarfile.TarInfo(f"logs/{'x' * 150}-{number}.txt")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


class Unseekable(io.BytesIO):
    """As a pipe: what is written to it cannot be changed later."""

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def seekable(self) -> bool:
        return False


def zip_of(*contents: bytes, method: int = zipfile.ZIP_DEFLATED, into: io.BytesIO) -> bytes:
    with zipfile.ZipFile(into, "w", method) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.txt", content)
    return into.getvalue()


def zip_on_disk(*contents: bytes) -> bytes:
    return zip_of(*contents, into=io.BytesIO())


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "second gzip member": lambda text: gzip.compress(HARMLESS) + gzip.compress(text),
    "bzip2": bz2.compress,
    "second bzip2 stream": lambda text: bz2.compress(HARMLESS) + bz2.compress(text),
    "xz": lzma.compress,
    "xz -9": lambda text: lzma.compress(text, preset=9),
    "second xz stream": lambda text: lzma.compress(HARMLESS) + lzma.compress(text),
    "zstd": zstd,
    "second zstd frame": lambda text: zstd(HARMLESS) + zstd(text),
    "tar": lambda text: tar_of(HARMLESS, text),
    "GNU tar": lambda text: tar_of(HARMLESS, text, form=tarfile.GNU_FORMAT),
    "tar beside a program": lambda text: tar_of(b"\x7fELF\0\0", text),
    "tar.gz": lambda text: gzip.compress(tar_of(HARMLESS, text)),
    "tar.bz2": lambda text: bz2.compress(tar_of(HARMLESS, text)),
    "tar.xz": lambda text: lzma.compress(tar_of(HARMLESS, text)),
    "tar.zst": lambda text: zstd(tar_of(HARMLESS, text)),
    "log.gz in tar.xz": lambda text: lzma.compress(tar_of(gzip.compress(text))),
    "UTF-16 in tar": lambda text: tar_of(text.decode().encode("utf-16")),
    "zip": lambda text: zip_on_disk(HARMLESS, text),
    "stored zip": lambda text: zip_of(HARMLESS, text, method=zipfile.ZIP_STORED, into=io.BytesIO()),
    "zip written to a pipe": lambda text: zip_of(HARMLESS, text, into=Unseekable()),
    "program that is a zip": lambda text: b"#!/usr/bin/env python3\n" + zip_on_disk(text),
    "tar.gz in zip": lambda text: zip_on_disk(gzip.compress(tar_of(text))),
    "cut zip": lambda text: zip_on_disk(text, HARMLESS * 100)[:-100],
    "cut tar": lambda text: tar_of(text, HARMLESS)[:-1000],
}


@on_sqlite_alone
@pytest.mark.parametrize("form", PACKED)
def test_secret_in_a_packed_file_is_refused(
    client: FlaskClient, service: Service, form: str
) -> None:
    packed, harmless = PACKED[form](SECRET), PACKED[form](HARMLESS)

    answer = client.put(f"/api/v1/blobs/{sha256(packed)}", data=packed)
    other = client.put(f"/api/v1/blobs/{sha256(harmless)}", data=harmless)

    assert (answer.status_code, other.status_code) == (422, 201)
    assert "secret-found: netrc" in answer.get_json()["errors"]["sha256"][0]
    assert list(service.store.digests()) == [sha256(harmless)]


def test_secret_in_a_tar_that_comes_in_pieces_is_refused(
    client: FlaskClient, service: Service
) -> None:
    """Longer than what is read at once, and the secret behind the first piece of it."""
    packed = tar_of(HARMLESS * (5 * MIB // len(HARMLESS)), SECRET, bytes(6 * MIB))

    answer = client.put(f"/api/v1/blobs/{sha256(packed)}", data=packed)

    assert answer.status_code == 422
    assert list(service.store.digests()) == []


def test_guess_does_not_withhold_a_whole_archive() -> None:
    """As the code of a job is, with a library whose documentation has an example of a password."""
    guessed = b'connect(user, password="swordfish7")\n'

    assert find_secret(gzip.compress(guessed)) == ["assignment"]
    assert find_secret(gzip.compress(tar_of(HARMLESS, guessed))) == []
    assert find_secret(zip_on_disk(guessed)) == []


# each made by its test: to make all of them takes seconds, in every process that collects the tests
BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip of much": lambda: gzip.compress(bytes(64 * MIB)),
    "gzip of nothing, often": lambda: gzip.compress(b"") * 400_000,
    "bzip2 of much": lambda: bz2.compress(bytes(64 * MIB)),
    "bzip2 of nothing, often": lambda: bz2.compress(b"") * 500_000,
    "xz of much": lambda: lzma.compress(bytes(64 * MIB)),
    "xz of nothing, often": lambda: lzma.compress(b"") * 200_000,
    "zstd of much": lambda: zstd(bytes(64 * MIB)),
    "tar of nothing, often": lambda: tar_of(b"")[-10_240:][:512] * 16_000,
    "tar with a negative size": lambda: b"a" * 124 + b"-7".rjust(12) + b" " * 376,
    "zip of nothing, often": lambda: (b"PK\x03\x04" + bytes(26)) * 280_000,
    "zip whose files have no end": lambda: (b"PK\x03\x04\x14\0\x08\0\x08\0" + bytes(20)) * 280_000,
    "text that begins as a program": lambda: b"#!/bin/sh\n" + b"PK\x03\x04" * 2_000_000,
    "gzip in gzip in gzip": lambda: gzip.compress(gzip.compress(gzip.compress(bytes(64 * MIB)))),
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_file_that_unpacks_to_much_costs_little(bomb: str) -> None:
    packed = BOMBS[bomb]()
    began = time.process_time()

    assert find_secret(packed) == []

    assert time.process_time() - began < 20, "half a second to two at most, where it is linear"


@on_sqlite_alone
@pytest.mark.slow
def test_batch_of_bombs_is_unpacked_in_part_and_the_rest_sent_alone(client: FlaskClient) -> None:
    """Each of them alone is looked at as far as 8 MiB; a thousand took a minute in one request."""
    bombs = [gzip.compress(b"%d" % number + bytes(9 * MIB)) for number in range(20)]
    plain = [b"some text", gzip.compress(b"short")]
    blobs = [*plain, *bombs, b"more text"]
    head = json.dumps([[sha256(blob), len(blob), None] for blob in blobs]).encode()

    answer = client.post(
        "/api/v1/blobs/batch",
        data=head + b"\n" + b"".join(blobs),
        content_type="application/octet-stream",
    )

    results = answer.get_json()["results"]
    assert [result["status"] for result in results] == [201, 201, 201, *[413] * 19, 201]
    assert "send this one alone" in results[4]["detail"]
    alone = client.put(f"/api/v1/blobs/{sha256(bombs[-1])}", data=bombs[-1])
    assert alone.status_code == 201
