"""Bundles unpacked, run and compared; and tars that try to reach out of their folder."""

import io
import json
import os
import signal
import sys
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from jobprov.provenance.bundle.draft import Member
from jobprov.provenance.bundle.ustar import Headers
from jobprov.provenance.errors import BundleError, NotFoundError
from jobprov.provenance.services.reruns.execution import NOT_STARTED, rerun, unpack, verify
from jobprov.provenance.services.reruns.isolation import Isolation, RerunLimits
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


@pytest.mark.slow
def test_rerun_reports_the_verdict_that_the_service_takes(root: Path, tmp_path: Path) -> None:
    heard: list[str] = []

    result = rerun(root, tmp_path / "out", heard.append)

    assert result.exit_code == 0
    assert result.verified is not None
    assert (result.verified.decision, result.verified.level) == ("equal", "R7")
    assert result.verified.verdict is not None
    assert set(result.verified.verdict.document()) == {
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


def test_comparison_that_takes_too_long_is_stopped_and_says_so(root: Path, tmp_path: Path) -> None:
    """A file of many gigabytes may take longer to compare than to make."""
    (root / "data/verify.sh").write_text("sleep 60\n")
    limits = RerunLimits(seconds=1, disk_bytes=1 << 30)

    verified = verify(root, tmp_path, isolation=Isolation().within(limits, tmp_path))

    assert verified.stopped == "the comparison was stopped after 1 s"
    assert (verified.decision, verified.verdict) == ("undecided", None)


@pytest.mark.slow
def test_other_output_differs(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rerun(root, out)
    (out / "work/out/result.txt").write_text("something else\n")

    verified = verify(root, out)

    assert (verified.decision, verified.level) == ("differs", "R2")
    assert "DIFFERENT result.txt" in verified.lines


def test_programs_and_variables_in_place_of_recorded_ones_are_handed_to_the_bundle(
    root: Path, tmp_path: Path
) -> None:
    (root / "data/run.sh").write_text('printf "%s\\n" "$@"\n')

    result = rerun(
        root,
        tmp_path / "out",
        programs=["xrdcp=/bin/true", "ifdh=/bin/true"],
        variables=["DB_PASSWORD=a b", "X="],
    )

    assert result.lines[:4] == ("--program", "xrdcp=/bin/true", "--program", "ifdh=/bin/true")
    assert result.lines[4:8] == ("--variable", "DB_PASSWORD=a b", "--variable", "X=")


def test_job_that_ends_its_process_group_does_not_end_its_caller(
    root: Path, tmp_path: Path
) -> None:
    """As `kill 0` does in a script; here these tests would end."""
    (root / "data/run.sh").write_text("kill -TERM 0; sleep 600\n")

    result = rerun(root, tmp_path / "out")

    assert (result.exit_code, result.is_started) == (NOT_STARTED, False)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_interrupt_ends_all_that_a_rerun_started(
    root: Path, tmp_path: Path, number: int, error: type[BaseException]
) -> None:
    (root / "data/run.sh").write_text("sleep 600 & echo $!; wait\n")
    started: list[int] = []

    def interrupt(line: str) -> None:
        started.append(int(line))
        signal.raise_signal(number)

    with pytest.raises(error):
        rerun(root, tmp_path / "out", interrupt)

    end = time.monotonic() + 60
    while _is_running(started[0]):
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_running(process: int) -> bool:
    try:
        return b"sleep" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def test_folder_without_a_rerun_is_undecided(root: Path, tmp_path: Path) -> None:
    verified = verify(root, tmp_path)

    assert (verified.decision, verified.level) == ("undecided", "R0")


def test_job_that_cannot_start_is_told_apart_from_one_that_failed(toy: Toy, tmp_path: Path) -> None:
    toy.record["inputs"][0]["sha256"] = "e" * 64
    root = unpack(io.BytesIO(toy.tar_bytes()), tmp_path / "bundle")

    result = rerun(root, tmp_path / "out")

    assert (result.exit_code, result.is_started) == (NOT_STARTED, False)
    assert any("missing: input a.txt" in line for line in result.lines)


@pytest.mark.slow
def test_input_outside_the_bundle_is_found_in_the_folders_given(toy: Toy, tmp_path: Path) -> None:
    sha256 = toy.record["inputs"][0]["sha256"]
    data = toy.blobs.stored.pop(sha256)
    root = unpack(io.BytesIO(toy.tar_bytes()), tmp_path / "bundle")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/renamed").write_bytes(data)

    result = rerun(root, tmp_path / "out", input_dirs=[tmp_path / "elsewhere"])

    assert result.verified is not None
    assert result.verified.level == "R7"


@pytest.mark.slow
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


ENDED = int(datetime(2026, 3, 1, 10, 0, 5, tzinfo=UTC).timestamp())
"""When the toy's job ended: the time of all entries."""


class Entry(NamedTuple):
    """One entry of a tar: its header as a bundle has it, and the bytes of the file."""

    header: bytes
    data: bytes = b""

    @property
    def path(self) -> str:
        name, prefix = (self.header[field].split(b"\0")[0] for field in (slice(100), PREFIX))
        return (prefix + b"/" + name if prefix else name).decode()

    def having(self, **fields: bytes) -> "Entry":
        """The entry with other bytes in fields of its header, which has the right sum again."""
        header = bytearray(self.header)
        for field, value in fields.items():
            start, length = FIELDS[field]
            header[start : start + length] = value.ljust(length, b"\0")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return self._replace(header=bytes(header))


PREFIX = slice(345, 500)
FIELDS = {
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "mtime": (136, 12),
    "kind": (156, 1),
    "link": (157, 100),
    "magic": (257, 8),
    "uname": (265, 32),
    "gname": (297, 32),
    "device": (329, 16),
    "behind": (500, 12),
}
Entries = list[Entry]


def entry(path: str, data: bytes = b"", **fields: bytes) -> Entry:
    """A file as a bundle has it, of the toy's time, but for these fields."""
    member = None
    if not path.endswith("/"):
        member = Member(path=path, mode=0o644, sha256="", sha512="", size=len(data))
    return Entry(Headers(ENDED).of(path.encode(), member), data).having(**fields)


def entries_of(data: bytes) -> Entries:
    entries: Entries = []
    at = 0
    while any(data[at : at + 512]):
        size = int(data[at + 124 : at + 135], 8)
        entries.append(Entry(data[at : at + 512], data[at + 512 : at + 512 + size]))
        at += 512 + size + -size % 512
    return entries


def tar_of(entries: Entries) -> bytes:
    """The tar of these entries, ended as a bundle's is."""
    parts = [each.header + each.data + bytes(-len(each.data) % 512) for each in entries]
    data = b"".join(parts) + bytes(1024)
    return data + bytes(-len(data) % 10240)


def adding(*more: Entry) -> Callable[[Entries], Entries]:
    """Put entries where their paths belong."""
    return lambda entries: sorted([*entries, *more], key=lambda each: each.path.encode())


def with_header(path: str, **fields: bytes) -> Callable[[Entries], Entries]:
    return lambda entries: [
        each.having(**fields) if each.path == f"{TOP}/{path}" else each for each in entries
    ]


def with_data(path: str, data: bytes) -> Callable[[Entries], Entries]:
    return lambda entries: [
        entry(each.path, data) if each.path == f"{TOP}/{path}" else each for each in entries
    ]


def without(end: str) -> Callable[[Entries], Entries]:
    return lambda entries: [each for each in entries if not each.path.endswith(end)]


SCRIPT = "data/run.sh"
HOSTILE: dict[str, tuple[Callable[[Entries], Entries], str]] = {
    "parent folder": (adding(entry(f"{TOP}/../../evil", b"x")), "plain files and folders"),
    "absolute path": (adding(entry("/jobprov-evil", b"x")), "plain files and folders"),
    "link out": (
        adding(entry(f"{TOP}/data/out", kind=b"2", link=b"/etc")),
        "plain files and folders",
    ),
    "link out, then through it": (
        adding(
            entry(f"{TOP}/data/out", kind=b"2", link=b".."), entry(f"{TOP}/data/out/evil", b"x")
        ),
        "plain files and folders",
    ),
    "hard link": (
        adding(entry(f"{TOP}/data/passwd", kind=b"1", link=b"/etc/passwd")),
        "plain files and folders",
    ),
    "pipe": (adding(entry(f"{TOP}/data/pipe", kind=b"6")), "plain files and folders"),
    "character device": (
        adding(entry(f"{TOP}/data/null", kind=b"3", device=b"0000001\x000000003")),
        "plain files and folders",
    ),
    "block device": (
        adding(entry(f"{TOP}/data/sda", kind=b"4", device=b"0000010\x000000000")),
        "plain files and folders",
    ),
    "contiguous file": (with_header(SCRIPT, kind=b"7"), "plain files and folders"),
    "file of an old tar": (with_header(SCRIPT, kind=b"\0"), "plain files and folders"),
    "sparse file": (with_header(SCRIPT, kind=b"S"), "plain files and folders"),
    "extended header": (
        adding(entry(f"{TOP}/data/pax", b"17 path=/evil/x\n", kind=b"x")),
        "plain files and folders",
    ),
    "extended header for all": (
        adding(entry(f"{TOP}/data/pax", b"17 path=/evil/x\n", kind=b"g")),
        "plain files and folders",
    ),
    "long name of GNU": (
        adding(entry(f"{TOP}/data/long", b"/evil", kind=b"L")),
        "plain files and folders",
    ),
    "set user id": (with_header(SCRIPT, mode=b"0004755"), "mode 4755 is none"),
    "set group id": (with_header(SCRIPT, mode=b"0002755"), "mode 2755 is none"),
    "sticky": (with_header(SCRIPT, mode=b"0001755"), "mode 1755 is none"),
    "writable for all": (with_header(SCRIPT, mode=b"0000777"), "mode 777 is none"),
    "no program any more": (with_header(SCRIPT, mode=b"0000644"), "its mode is 0644"),
    "record as a program": (with_header("data/JOB.json", mode=b"0000755"), "its mode is 0755"),
    "no number as mode": (with_header(SCRIPT, mode=b"rwxr-xr"), "is none that a bundle has"),
    "closed folder": (with_header("data/", mode=b"0000700"), "mode 700 is none"),
    "another time": (with_header(SCRIPT, mtime=b"00000000001"), "not that of the bundle"),
    "another time of all": (
        lambda entries: [each.having(mtime=b"14000000000") for each in entries],
        "Bagging-Date is 2026-03-01",
    ),
    "a second later": (
        lambda entries: [each.having(mtime=b"%011o" % (ENDED + 1)) for each in entries],
        "Bundle-Time is 2026-03-01T10:00:05Z",
    ),
    "another owner": (with_header(SCRIPT, uid=b"0001750"), "its header is not as a bundle has it"),
    "another group": (with_header(SCRIPT, gid=b"0001750"), "its header is not as a bundle has it"),
    "name of the owner": (with_header(SCRIPT, uname=b"root"), "its header is not"),
    "name of the group": (with_header(SCRIPT, gname=b"wheel"), "its header is not"),
    "target of a link": (with_header(SCRIPT, link=b"/etc"), "its header is not"),
    "numbers of a device": (with_header(SCRIPT, device=b"0000001"), "its header is not"),
    "form of GNU": (with_header(SCRIPT, magic=b"ustar  "), "its header is not"),
    "bytes behind a header": (with_header(SCRIPT, behind=b"evil"), "its header is not"),
    "folder that is a file": (with_header("data/", kind=b"0"), "its header is not"),
    "file that is a folder": (with_header(SCRIPT, kind=b"5"), "its header is not"),
    "an empty folder": (adding(entry(f"{TOP}/data/none/")), "data/none: a folder that is empty"),
    "an empty folder at the end": (
        lambda entries: [*entries, entry(f"{TOP}/zzz/")],
        "zzz: an empty folder",
    ),
    "a folder less": (without("/command/"), "data/command: a folder that is empty, missing"),
    "a folder twice": (
        adding(entry(f"{TOP}/data/command/")),
        "data/command: a folder named twice",
    ),
    "another order": (
        lambda entries: [*entries[:3], entries[4], entries[3], *entries[5:]],
        "place",
    ),
    "a file twice": (adding(entry(f"{TOP}/{SCRIPT}", b"echo evil\n")), "named twice"),
    "a file where a folder is": (adding(entry(f"{TOP}/data", b"x")), "data: a folder|exists"),
    "a file below a file": (
        adding(entry(f"{TOP}/{SCRIPT}/evil", b"x")),
        r"data/run\.sh: a folder that is empty, missing",
    ),
    "two top folders": (adding(entry("other/"), entry("other/x", b"x")), "one top folder"),
    "a file beside the top folder": (adding(entry("zzz", b"x")), "one top folder"),
    "a name with a blank": (adding(entry(f"{TOP}/data/a b", b"x")), "plain files and folders"),
    "a name with a line end": (adding(entry(f"{TOP}/data/a\nb", b"x")), "plain files and folders"),
    "a name that is not ASCII": (adding(entry(f"{TOP}/data/é", b"x")), "plain files and folders"),
    "a name like an option": (adding(entry(f"{TOP}/data/-rf", b"x")), "plain files and folders"),
    "a name of dots": (adding(entry(f"{TOP}/data/./x", b"x")), "plain files and folders"),
    "a file that no manifest lists": (
        adding(entry(f"{TOP}/data/extra", b"x")),
        "data/extra: differs from what manifest-sha256",
    ),
    "another tag file": (adding(entry(f"{TOP}/extra.txt", b"x")), r"extra\.txt is none of"),
    "a list of inputs to fetch": (adding(entry(f"{TOP}/fetch.txt", b"x")), "none of a bundle's"),
    "changed script": (with_data(SCRIPT, b"echo evil\n"), "differs from what"),
    "changed manifest": (with_data("manifest-sha256.txt", b""), "differs from what"),
    "changed declaration": (with_data("bagit.txt", b""), r"bagit\.txt.* differs from what"),
    "no manifest": (without("manifest-sha256.txt"), r"holds no manifest-sha256\.txt"),
    "no second manifest": (without("/manifest-sha512.txt"), "is not in the tar"),
    "a file less": (without("/NEEDS.tsv"), r"data/NEEDS\.tsv: differs from what"),
    "nothing at all": (lambda _entries: [], "The tar is empty"),
}


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The tar of the toy's bundle."""
    return Toy().tar_bytes()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_tar_is_refused_and_leaves_nothing(
    whole: bytes, tmp_path: Path, hostile: str
) -> None:
    spoil, told = HOSTILE[hostile]
    data = tar_of(spoil(entries_of(whole)))

    with pytest.raises(BundleError, match=told):
        unpack(io.BytesIO(data), tmp_path / "deep" / "bundle")

    assert [path.name for path in tmp_path.rglob("*")] == ["deep"]


def test_tar_of_the_same_entries_is_taken(whole: bytes, tmp_path: Path) -> None:
    """What the hostile ones are made with changes nothing by itself."""
    data = whole

    assert tar_of(adding()(entries_of(data))) == data
    assert unpack(io.BytesIO(data), tmp_path / "bundle").name == TOP


@pytest.mark.parametrize(
    ("form", "told"),
    [(tarfile.GNU_FORMAT, "its header is not"), (tarfile.PAX_FORMAT, "its header is not")],
)
def test_bundle_that_was_packed_again_is_refused(
    whole: bytes, tmp_path: Path, form: int, told: str
) -> None:
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(whole)) as old,
        tarfile.open(fileobj=buffer, mode="w", format=form) as new,
    ):
        for member in old:
            member.uname = "someone"
            new.addfile(member, old.extractfile(member))

    with pytest.raises(BundleError, match=told):
        unpack(io.BytesIO(buffer.getvalue()), tmp_path / "bundle")


def test_headers_without_end_are_refused(whole: bytes, tmp_path: Path) -> None:
    """Each says that the next header belongs to the same member."""
    header = entry("x", b"abc", name=b"././@LongLink", kind=b"L")

    with pytest.raises(BundleError, match="plain files and folders"):
        unpack(io.BytesIO(tar_of([header] * 3000) + whole), tmp_path / "bundle")

    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[:3000], "cut off"),
        (lambda _data: b"no tar at all" * 1000, "not a bundle"),
        (lambda data: data[:-20480], "cut off"),
        (lambda data: data[:-1], "cut off"),
        (lambda _data: b"", "cut off"),
        (lambda data: data + b"\0", "bytes behind its end"),
        (lambda data: data + bytes(10240), "bytes behind its end"),
        (lambda data: data + data, "bytes behind its end"),
        (lambda data: data[:-1] + b"x", "bytes behind its end"),
        (lambda data: bytes(512) + data, "The tar is empty"),
        (lambda data: data[:512] + bytes(512) + data[512:], "The tar is empty"),
    ],
)
def test_tar_that_is_cut_or_none_or_more_is_refused(
    whole: bytes, tmp_path: Path, damage: Callable[[bytes], bytes], told: str
) -> None:
    with pytest.raises(BundleError, match=told):
        unpack(io.BytesIO(damage(whole)), tmp_path / "bundle")

    assert not (tmp_path / "bundle").exists()


def test_bytes_between_two_files_are_refused(whole: bytes, tmp_path: Path) -> None:
    data = bytearray(whole)
    first = data.index(b"bag-info.txt") // 512 * 512
    data[first + 1023] ^= 1  # the last byte of the block that the file does not fill

    with pytest.raises(BundleError, match="bytes between its files"):
        unpack(io.BytesIO(bytes(data)), tmp_path / "bundle")


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


@pytest.mark.parametrize(
    ("change", "told"), [("cut", "cut off|behind its end"), ("changed", "what tagmanifest-sha512")]
)
def test_last_list_of_a_tar_counts_too(
    whole: bytes, tmp_path: Path, change: str, told: str
) -> None:
    """No other list lists it, so that a tar that ends before it looked whole."""
    data = bytearray(whole)
    at = data.index(f"{TOP}/tagmanifest-sha512.txt".encode())
    if change == "cut":
        data[at:] = bytes(1024)
    else:
        data[at + 512] ^= 1  # its first digit

    with pytest.raises(BundleError, match=told):
        unpack(io.BytesIO(bytes(data)), tmp_path / "bundle")
