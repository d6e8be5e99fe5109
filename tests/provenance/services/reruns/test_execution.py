"""Bundles unpacked, run and compared; and tars that try to reach out of their folder."""

import io
import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jobprov.provenance.errors import BundleError, NotFoundError
from jobprov.provenance.services.reruns.execution import NOT_STARTED, rerun, unpack, verify
from tests.library.productions.toy_job import Toy

TOP = "0f8b6a4e-3c51-5a0e-9c3f-000000000017"


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def root(toy: Toy, tmp_path: Path) -> Path:
    return unpack(io.BytesIO(toy.tar_bytes()), tmp_path / "bundle")


def test_bundle_is_unpacked_as_it_was_made(toy: Toy, tmp_path: Path) -> None:
    file = tmp_path / "job.tar"
    file.write_bytes(toy.tar_bytes())

    root = unpack(file, tmp_path / "new" / "bundle")

    assert root == tmp_path / "new" / "bundle" / TOP
    assert (root / "data/JOB.json").read_bytes() == toy.ingredients().record_bytes
    assert {
        path.name for path in root.rglob("*") if path.is_file() and os.access(path, os.X_OK)
    } >= {
        "run.sh",
        "join.sh",
    }


def test_rerun_reports_the_verdict_that_the_service_takes(root: Path, tmp_path: Path) -> None:
    heard: list[str] = []

    result = rerun(root, tmp_path / "out", heard.append)

    assert result.exit_code == 0
    assert result.verified is not None
    assert (result.verified.decision, result.verified.level) == ("equal", "R7")
    assert result.verified.verdict is not None
    assert set(result.verified.verdict) == {
        "revision",
        "level",
        "comparisons",
        "environment_grade",
        "host",
        "when",
    }
    assert heard == list(result.lines)
    assert "IDENTICAL result.txt" in result.lines
    assert "made out/result.txt" in result.log.read_text()


def test_other_output_differs(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rerun(root, out)
    (out / "work/out/result.txt").write_text("something else\n")

    verified = verify(root, out)

    assert (verified.decision, verified.level) == ("differs", "R2")
    assert "DIFFERENT result.txt" in verified.lines


def test_folder_without_a_rerun_is_undecided(root: Path, tmp_path: Path) -> None:
    verified = verify(root, tmp_path)

    assert (verified.decision, verified.level) == ("undecided", "R0")


def test_job_that_cannot_start_is_told_apart_from_one_that_failed(toy: Toy, tmp_path: Path) -> None:
    toy.record["inputs"][0]["sha256"] = "e" * 64
    root = unpack(io.BytesIO(toy.tar_bytes()), tmp_path / "bundle")

    result = rerun(root, tmp_path / "out")

    assert (result.exit_code, result.is_started) == (NOT_STARTED, False)
    assert any("missing: input a.txt" in line for line in result.lines)


def test_input_outside_the_bundle_is_found_in_the_folders_given(toy: Toy, tmp_path: Path) -> None:
    sha256 = toy.record["inputs"][0]["sha256"]
    data = toy.blobs.stored.pop(sha256)
    root = unpack(io.BytesIO(toy.tar_bytes()), tmp_path / "bundle")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/renamed").write_bytes(data)

    result = rerun(root, tmp_path / "out", input_dirs=[tmp_path / "elsewhere"])

    assert result.verified is not None
    assert result.verified.level == "R7"


def test_exit_code_is_the_job_s(toy: Toy, tmp_path: Path) -> None:
    toy.record["command"] = {"working_directory": "/scratch", "argv": ["sh", "-c", "kill -KILL $$"]}
    root = unpack(io.BytesIO(toy.tar_bytes()), tmp_path / "bundle")

    result = rerun(root, tmp_path / "out")

    assert result.exit_code == 137
    assert result.verified is not None
    assert (result.verified.decision, result.verified.level) == ("differs", "R1")


def test_report_that_cannot_be_read_is_told(root: Path, tmp_path: Path) -> None:
    (root / "data/verify.sh").write_text('echo "[]" > "$2"\n')

    with pytest.raises(BundleError, match="cannot be read; check the bundle"):
        verify(root, tmp_path)


def test_folder_that_holds_no_bundle_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"run\.sh is missing"):
        rerun(tmp_path, tmp_path / "out")


def test_tar_that_is_not_there_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"jobprov bundle JOB -o job\.tar"):
        unpack(tmp_path / "job.tar", tmp_path / "bundle")


def test_folder_that_holds_something_is_refused_and_left_alone(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")

    with pytest.raises(BundleError, match="not an empty folder"):
        unpack(io.BytesIO(toy.tar_bytes()), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def entry(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, data


Entries = list[tuple[tarfile.TarInfo, bytes]]


def entries_of(data: bytes) -> Entries:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [
            (member, file.read() if (file := tar.extractfile(member)) else b"") for member in tar
        ]


def tar_of(entries: Entries, form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for member, data in entries:
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def changed(name: str, data: bytes) -> Callable[[Entries], Entries]:
    return lambda entries: [
        (
            entry(member.name, data, mode=member.mode)
            if member.name == f"{TOP}/{name}"
            else (member, old)
        )
        for member, old in entries
    ]


HOSTILE: dict[str, Callable[[Entries], Entries]] = {
    "parent folder": lambda entries: [*entries, entry(f"{TOP}/../../evil", b"x")],
    "absolute path": lambda entries: [*entries, entry("/jobprov-evil", b"x")],
    "link out": lambda entries: [
        *entries,
        entry(f"{TOP}/data/out", type=tarfile.SYMTYPE, linkname="/etc"),
    ],
    "link out, then through it": lambda entries: [
        *entries,
        entry(f"{TOP}/data/out", type=tarfile.SYMTYPE, linkname=".."),
        entry(f"{TOP}/data/out/evil", b"x"),
    ],
    "hard link": lambda entries: [
        *entries,
        entry(f"{TOP}/data/passwd", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    ],
    "pipe": lambda entries: [*entries, entry(f"{TOP}/data/pipe", type=tarfile.FIFOTYPE)],
    "device": lambda entries: [
        *entries,
        entry(f"{TOP}/data/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    ],
    "a file twice": lambda entries: [*entries, entry(f"{TOP}/data/run.sh", b"echo evil\n")],
    "a file where a folder is": lambda entries: [*entries, entry(f"{TOP}/data", b"x")],
    "a file below a file": lambda entries: [*entries, entry(f"{TOP}/data/run.sh/evil", b"x")],
    "two top folders": lambda entries: [
        *entries,
        entry("other", type=tarfile.DIRTYPE, mode=0o755),
        entry("other/x", b"x"),
    ],
    "a file beside the top folder": lambda entries: [*entries, entry("evil", b"x")],
    "a name with a blank": lambda entries: [*entries, entry(f"{TOP}/data/a b", b"x")],
    "a name with a line end": lambda entries: [*entries, entry(f"{TOP}/data/a\nb", b"x")],
    "a name like an option": lambda entries: [*entries, entry(f"{TOP}/data/-rf", b"x")],
    "a file that no manifest lists": lambda entries: [*entries, entry(f"{TOP}/data/extra", b"x")],
    "changed script": changed("data/run.sh", b"echo evil\n"),
    "changed manifest": changed("manifest-sha256.txt", b""),
    "no manifests": lambda entries: [
        (member, data) for member, data in entries if "manifest-sha256" not in member.name
    ],
    "a file less": lambda entries: [
        (member, data) for member, data in entries if not member.name.endswith("/NEEDS.tsv")
    ],
    "nothing at all": lambda _entries: [],
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_tar_is_refused_and_leaves_nothing(toy: Toy, tmp_path: Path, hostile: str) -> None:
    data = tar_of(HOSTILE[hostile](entries_of(toy.tar_bytes())))

    with pytest.raises(BundleError):
        unpack(io.BytesIO(data), tmp_path / "deep" / "bundle")

    assert [path.name for path in tmp_path.rglob("*")] == ["deep"]


def test_extended_headers_are_refused(toy: Toy, tmp_path: Path) -> None:
    """They could give a member another name, size or sparse form than its own header tells."""
    entries = [
        *entries_of(toy.tar_bytes()),
        entry(f"{TOP}/data/x", b"x", pax_headers={"comment": "hello"}),
    ]

    with pytest.raises(BundleError, match="plain files and folders"):
        unpack(io.BytesIO(tar_of(entries, tarfile.PAX_FORMAT)), tmp_path / "bundle")


def test_headers_without_end_are_refused(toy: Toy, tmp_path: Path) -> None:
    """Each says that the next header belongs to the same member.

    The reader calls itself for every one.
    """
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 4
    header = long_name.tobuf(tarfile.USTAR_FORMAT) + b"abc\0".ljust(512, b"\0")

    with pytest.raises(BundleError):
        unpack(io.BytesIO(header * 3000 + toy.tar_bytes()), tmp_path / "bundle")

    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:3000],
        lambda _data: b"no tar at all" * 1000,
        lambda data: data[:-20480],
        lambda _data: b"",
    ],
)
def test_tar_that_is_cut_or_none_is_refused(
    toy: Toy, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(BundleError):
        unpack(io.BytesIO(damage(toy.tar_bytes())), tmp_path / "bundle")

    assert not (tmp_path / "bundle").exists()


def test_unpacked_files_take_no_rights_from_the_tar(toy: Toy, tmp_path: Path) -> None:
    entries = entries_of(toy.tar_bytes())
    for member, _data in entries:
        member.mode |= 0o7777

    root = unpack(io.BytesIO(tar_of(entries)), tmp_path / "bundle")

    assert {path.stat().st_mode & 0o7777 for path in root.rglob("*")} == {0o755}


def test_verdict_is_made_by_this_python_where_the_job_s_has_no_reader(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBPROV_PYTHON", raising=False)
    (root / "data/verify.sh").write_text('printf \'{"level": "%s"}\' "$JOBPROV_PYTHON" > "$2"\n')

    assert json.dumps(verify(root, tmp_path).level) == json.dumps(sys.executable)


def test_bundle_whose_inputs_are_to_be_fetched_is_unpacked(toy: Toy, tmp_path: Path) -> None:
    """Its manifests list inputs that it does not hold; any other file has to be there."""
    absent = {
        "name": "big.root",
        "sha256": "ab" * 32,
        "size_bytes": 9,
        "location": "https://data.example.org/big.root",
    }
    toy.record["inputs"].append(absent)
    data = toy.tar_bytes(toy.plan(is_holey=True))

    root = unpack(io.BytesIO(data), tmp_path / "bundle")

    assert "data/inputs/files/big.root" in (root / "manifest-sha256.txt").read_text()
    assert not (root / "data/inputs/files/big.root").exists()


@pytest.mark.parametrize("change", ["cut", "changed"])
def test_last_list_of_a_tar_counts_too(toy: Toy, tmp_path: Path, change: str) -> None:
    """No other list lists it, so that a tar that ends before it looked whole."""
    data = bytearray(toy.tar_bytes())
    at = data.index(f"{TOP}/tagmanifest-sha512.txt".encode())
    if change == "cut":
        data[at:] = bytes(1024)
    else:
        data[at + 512] ^= 1  # its first digit

    with pytest.raises(BundleError, match=r"tagmanifest-sha512\.txt: missing or damaged"):
        unpack(io.BytesIO(bytes(data)), tmp_path / "bundle")
