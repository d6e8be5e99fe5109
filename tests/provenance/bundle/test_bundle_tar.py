"""The frozen tar writer."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from jobprov.provenance.bundle import tar
from jobprov.provenance.bundle.draft import Member
from jobprov.provenance.bundle.plan import Plan
from jobprov.provenance.errors import BundleError
from tests.library.productions.toy_job import Toy

GOLDEN = "764385095decbaee5ae4d826b57168dcee40766e85d0fed22b5749cd0e3ddb5e"
LONG = "/".join(["folder-of-twenty-ch"] * 8) + "/name.txt"


def _member(path: str, data: bytes, mode: int = 0o644) -> Member:
    sha256, sha512 = hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()
    return Member(path=path, mode=mode, sha256=sha256, sha512=sha512, size=len(data))


def _plan(toy: Toy, files: dict[str, bytes], mtime: int = 1_700_000_000) -> Plan:
    for data in files.values():
        toy.blobs.write(data)
    members = tuple(
        _member(path, data, 0o755 if path.endswith(".sh") else 0o644)
        for path, data in sorted(files.items())
    )
    return Plan(
        spec_version=1, job_id="j", revision=0, top="top", level="L0", mtime=mtime, own=members
    )


FILES = {
    "a-b": b"",
    "a/run.sh": b"x" * 512,
    "a/z": b"y" * 513,
    LONG: b"deep",
    "bagit.txt": b"BagIt\n",
}


def test_bytes_of_the_tar_are_frozen(toy: Toy) -> None:
    assert hashlib.sha256(toy.tar_bytes(_plan(toy, FILES))).hexdigest() == GOLDEN


def test_tar_equals_what_the_standard_library_writes_as_ustar(toy: Toy) -> None:
    plan = _plan(toy, FILES)
    folders = {path.rsplit("/", cut)[0] for path in FILES for cut in range(1, path.count("/") + 1)}
    names = [
        "",
        *sorted([*FILES, *folders], key=lambda name: name + ("/" if name in folders else "")),
    ]
    oracle = io.BytesIO()
    with tarfile.open(fileobj=oracle, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            entry = tarfile.TarInfo(f"top/{name}".rstrip("/"))
            entry.mtime = plan.mtime
            if name in FILES:
                entry.size, entry.mode = len(FILES[name]), 0o755 if name.endswith(".sh") else 0o644
                archive.addfile(entry, io.BytesIO(FILES[name]))
            else:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)

    assert toy.tar_bytes(plan) == oracle.getvalue()


def test_size_is_known_before_the_first_byte(toy: Toy) -> None:
    plan = _plan(toy, FILES)

    assert tar.size(plan) == len(toy.tar_bytes(plan))


@pytest.mark.parametrize("time", [0, -5, 2**40])
def test_times_outside_the_header_s_range_are_clamped(toy: Toy, time: int) -> None:
    with tarfile.open(
        fileobj=io.BytesIO(toy.tar_bytes(_plan(toy, {"a": b"1"}, mtime=time)))
    ) as archive:
        assert {entry.mtime for entry in archive} == {min(max(time, 0), 8**11 - 1)}


@pytest.mark.parametrize("damage", [b"yyy!", b"yyyy!", b"yyy"])
def test_blob_that_is_not_what_the_plan_names_is_refused(toy: Toy, damage: bytes) -> None:
    plan = _plan(toy, {"a": b"yyyy"})
    toy.blobs.stored[plan.members[0].sha256] = damage

    with pytest.raises(BundleError, match="a: the stored bytes are not those of blob"):
        toy.tar_bytes(plan)


def test_name_that_ustar_cannot_hold_is_refused(toy: Toy) -> None:
    with pytest.raises(BundleError, match="do not fit into USTAR"):
        toy.tar_bytes(_plan(toy, {"n" * 120: b"1"}))


class _Zeros(io.RawIOBase):
    """Two gigabytes that lie nowhere."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, count: int = -1) -> bytes:
        count = min(count, self.left)
        self.left -= count
        return bytes(count)


def test_large_member_streams_in_small_pieces(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 1 << 23
    seen = hashlib.sha256()
    for _ in range(8):
        seen.update(bytes(1 << 20))
    member = Member(path="big", mode=0o644, sha256=seen.hexdigest(), sha512="", size=size)
    plan = Plan(
        spec_version=1, job_id="j", revision=0, top="top", level="L0", mtime=0, own=(member,)
    )
    monkeypatch.setattr(toy.blobs, "open", lambda _sha256: _Zeros(size))

    lengths = [len(piece) for piece in tar.stream(plan, toy.blobs)]

    assert max(lengths) <= (1 << 18) + tar.RECORD
    assert sum(lengths) == tar.size(plan)


def test_gnu_tar_reads_it(toy: Toy, tmp_path: Path) -> None:
    bag = toy.unpack(tmp_path)

    assert (bag / "data/run.sh").stat().st_mode & 0o777 == 0o755
    assert (bag / "data/JOB.json").stat().st_mode & 0o777 == 0o644
