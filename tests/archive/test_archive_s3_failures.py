"""What keeps an archive on S3 from working is said within seconds, in one sentence.

The sentence names what to set.
"""

import errno
import os
import socket
import tempfile
import time
from collections.abc import Iterator

import obstore
import pytest
from obstore.exceptions import GenericError

from jobprov.archive.backends.s3.bucket import Bucket
from jobprov.archive.backends.s3.store import S3Store
from jobprov.archive.digest import digest_of
from jobprov.archive.errors import ArchiveUnreachableError
from jobprov.archive.opening import open_store
from tests.library.servers.s3 import KEYS, READER_KEYS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]


def refusal(url: str) -> str:
    with pytest.raises(ArchiveUnreachableError) as caught:
        open_store(url)
    text = str(caught.value)
    assert url in text
    assert KEYS[1] not in text
    assert "\n" not in text
    return text


def test_missing_bucket_is_named(s3_url: str) -> None:
    assert (
        "there is no bucket 'elsewhere'; make it, or name another in JOBPROV_ARCHIVE_URL"
        in refusal(s3_url.replace("s3://jobprov", "s3://elsewhere"))
    )


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_keys_are_named_but_not_repeated(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "of another")

    text = refusal(s3_url)

    assert "the server refuses the keys" in text
    assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in text
    assert "of another" not in text


def test_keys_that_may_only_read_are_refused_when_something_is_written(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER_KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER_KEYS[1])
    store = open_store(s3_url)

    with pytest.raises(ArchiveUnreachableError, match="refuses the keys: AccessDenied"):
        store.put(b"blob")
    with pytest.raises(ArchiveUnreachableError, match="refuses the keys: AccessDenied"):
        store.put_document("name", b"document")


@pytest.mark.parametrize("names", [[0], [1], [0, 1]])
def test_no_keys_are_missed(s3_url: str, monkeypatch: pytest.MonkeyPatch, names: list[int]) -> None:
    for place in names:
        monkeypatch.delenv(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"][place])
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")

    assert (
        "no keys are set, or only one of two; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        in refusal(s3_url)
    )


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "no address"])
def test_address_without_a_server_is_named(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    before = time.monotonic()

    assert "AWS_ENDPOINT_URL" in refusal(s3_url)
    assert time.monotonic() - before < 60


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_server_that_says_nothing_is_not_waited_for_without_end(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, silent_port: int
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent_port}")
    before = time.monotonic()

    with pytest.raises(ArchiveUnreachableError, match="does not answer"):
        S3Store(Bucket(*s3_url.removeprefix("s3://").split("/"), timeout_seconds=0.5))

    assert time.monotonic() - before < 30


def test_server_that_goes_away_is_an_error_of_every_method(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3_url)
    known = store.put(b"blob").sha256
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("jobprov.archive.backends.s3.bucket._TRIES_AGAIN", 0)
    monkeypatch.setattr(store.bucket, "_store", Bucket("jobprov", "x", timeout_seconds=1)._store)  # type: ignore[attr-defined]

    for use in (
        lambda: store.put(b"other"),
        lambda: store.put_many([b"other"]),
        lambda: store.put_stream([b"other"], expected=digest_of(b"other")),
        lambda: store.get(known),
        lambda: store.open(known),
        lambda: store.size(known),
        lambda: store.missing([known]),
        lambda: list(store.digests()),
        store.seal,
        store.stats,
        lambda: list(store.inspect()),
        lambda: store.put_document("name", b""),
        lambda: store.get_document("name"),
        lambda: list(store.documents()),
    ):
        with pytest.raises(ArchiveUnreachableError, match="does not answer"):
            use()


def test_bucket_that_goes_away_is_not_taken_for_missing_blobs(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3_url)
    monkeypatch.setattr(store.bucket, "_store", Bucket("elsewhere", "x")._store)  # type: ignore[attr-defined]

    for use in (store.get, store.size, lambda sha256: store.missing([sha256])):
        with pytest.raises(ArchiveUnreachableError, match="there is no bucket"):
            use("0" * 64)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "PermanentRedirect",
            (
                "the server says PermanentRedirect, use another; "
                "check AWS_REGION and AWS_ENDPOINT_URL."
            ),
        ),
        ("SlowDown", "the server says SlowDown, use another; check the server."),
    ],
)
def test_what_the_server_says_is_passed_on(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str
) -> None:
    """These two are not to be had from the server of the tests."""
    store = open_store(s3_url)
    answer = (
        f"Generic S3 error: 4xx: <Error><Code>{code}</Code><Message>use another.</Message></Error>"
    )

    def refuse(*_args: object, **_options: object) -> None:
        raise GenericError(f"{answer}\n\nDebug source: of no use")

    monkeypatch.setattr(obstore, "put", refuse)

    with pytest.raises(ArchiveUnreachableError) as caught:
        store.put(b"blob")
    assert str(caught.value).endswith(sentence)


def test_full_local_disk_is_an_error_that_names_it(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = open_store(s3_url)
    store.put(b"loose")
    for name in ("mkstemp", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, refuse)

    for use in (
        lambda: open_store(s3_url),
        lambda: store.put_stream([b"other"], expected=digest_of(b"other")),
        store.seal,
    ):
        with pytest.raises(
            ArchiveUnreachableError, match=r"No space left on device; check the disk"
        ):
            use()
    assert store.get(digest_of(b"loose")) == b"loose"


def test_server_that_overwrites_is_not_trusted_with_the_ledger(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some take `If-None-Match: *` and store the second object over the first."""
    store = open_store(s3_url)
    put = obstore.put
    monkeypatch.setattr(
        obstore, "put", lambda *args, **kwargs: put(*args, **{**kwargs, "mode": "overwrite"})
    )

    with pytest.raises(ArchiveUnreachableError, match=r"passes over `If-None-Match: \*`"):
        store.put_document("ledger/head", b"segment")

    assert list(store.documents()) == []
    assert store.get(store.put(b"blob").sha256) == b"blob"
