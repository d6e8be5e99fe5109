"""Addresses open the store that they name, or say what is wrong with them."""

import sys
from pathlib import Path

import pytest

from jobprov.archive.backends.local import LocalStore
from jobprov.archive.backends.memory import MemoryStore
from jobprov.archive.digest import check_digest, digest_of, is_digest
from jobprov.archive.errors import BadUrlError
from jobprov.archive.opening import open_store


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
def test_file_address_opens_a_folder(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path / "an%20archive"))

    assert isinstance(store, LocalStore)
    assert store.root == tmp_path / "an archive"
    assert store.put(b"blob").is_new


def test_memory_address_opens_an_empty_store_each_time() -> None:
    first, second = open_store("memory:"), open_store("memory:")

    first.put(b"blob")

    assert isinstance(second, MemoryStore)
    assert list(second.digests()) == []


def test_keys_in_an_s3_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(BadUrlError, match="set AWS_ACCESS_KEY_ID") as caught:
        open_store("s3://key:secret@bucket/prefix")
    assert "secret@" not in str(caught.value)


def test_s3_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        "jobprov.archive.backends.s3.bucket",
        "jobprov.archive.backends.s3.store",
        "obstore",
    ):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(BadUrlError, match=r"the package obstore: pip install 'jobprov\[s3\]'"):
        open_store("s3://bucket/prefix")


@pytest.mark.parametrize(
    "url",
    [
        *[
            "",
            "/srv/archive",
            "file:archive",
            "file://host/archive",
            "file:/a?b",
            "file:/a#b",
            "file:/a%00b",
            "file:",
        ],
        *[
            "memory:x",
            "http://[",
            "ftp://host/a",
            "s3:bucket",
            "s3://",
            "s3://a",
            "s3://Bucket",
            "s3:///bucket",
        ],
        *[
            "s3://bucket/a b",
            "s3://bucket/../a",
            "s3://bucket/a//b",
            "s3://bucket/a?b",
            "s3://bucket:9000/a",
        ],
    ],
)
def test_other_addresses_are_refused_with_their_text(url: str) -> None:
    with pytest.raises(BadUrlError) as caught:
        open_store(url)
    assert caught.value.url == url


def test_digests_are_lower_case_hexadecimal() -> None:
    assert (
        check_digest(digest_of(b""))
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert is_digest("0" * 64)
    assert not is_digest("A" * 64)
    assert not is_digest("\u0660" * 64)
    assert not is_digest(None)
