"""Erasing from a local archive: damage beside it is left where it is, and a crash loses nothing."""

from pathlib import Path

import pytest

from jobprov.archive.backends.local import LocalStore


def test_pack_with_damage_beside_the_erased_blob_stays_and_is_told(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    digests = store.put_many([b"one" * 100, b"two" * 100])
    store.seal()
    [pack] = (tmp_path / "packs").iterdir()
    raw = bytearray(pack.read_bytes())
    raw[raw.index(bytes.fromhex(digests[1])) + 100] ^= 1  # within the other frame
    pack.write_bytes(raw)

    left = LocalStore(tmp_path).erase([digests[0]])

    assert left == {digests[0]}
    assert LocalStore(tmp_path).get(digests[0]) == b"one" * 100


def test_crash_before_the_old_pack_goes_leaves_every_blob_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    digests = store.put_many([b"one", b"two"])
    store.seal()
    monkeypatch.setattr(store._packs, "remove", lambda _packs: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        store.erase([digests[0]])

    again = LocalStore(tmp_path)
    assert [again.get(sha256) for sha256 in digests] == [b"one", b"two"]
    again.erase([digests[0]])
    assert again.missing(digests) == {digests[0]}
