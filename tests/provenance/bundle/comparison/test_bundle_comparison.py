"""Content digests of real ROOT files, and verdicts on them."""

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import awkward
import numpy as np
import pytest
import uproot

from jobprov.provenance.bundle.comparison import verify as comparison
from jobprov.provenance.bundle.comparison.verify import UndecidedError, compare, content_digest
from jobprov.provenance.bundle.templates import comparison_program
from tests.library.productions.toy_job import Toy

pytestmark = pytest.mark.slow

ENTRIES = 120_000  # more than two chunks


def write_root(
    path: Path,
    *,
    seed: int = 1,
    compression: object = None,
    baskets: int = 2,
    nan: float = float("nan"),
) -> Path:
    """A file with a tree of flat, nested and string columns, a histogram and a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    flat, counts = chance.normal(size=ENTRIES), chance.integers(0, 4, ENTRIES)
    flat[3] = nan
    nested = awkward.unflatten(chance.normal(size=int(counts.sum())).astype("f4"), counts)
    with uproot.recreate(path, **({"compression": compression} if compression else {})) as file:
        tree = file.mktree("events", {"x": np.float64, "v": "var * float32", "run": np.int32})
        for start in range(0, ENTRIES, ENTRIES // baskets):
            part = slice(start, start + ENTRIES // baskets)
            tree.extend(
                {"x": flat[part], "v": nested[part], "run": np.arange(ENTRIES, dtype="i4")[part]}
            )
        file["folder/h"] = np.histogram(flat[4:], bins=20)
        file["note"] = "text"
    return path


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("one") / "a.root")


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, one: Path) -> Path:
    """The same content under the same name, written in another second."""
    time.sleep(max(0.0, 1.1 - (time.time() - one.stat().st_mtime)))
    return write_root(tmp_path_factory.mktemp("again") / "a.root")


def test_file_written_twice_differs_in_bytes_but_not_in_content(one: Path, again: Path) -> None:
    assert one.read_bytes() != again.read_bytes()
    assert content_digest(str(one)) == content_digest(str(again))
    assert content_digest(str(one), "root-masked-1") == content_digest(str(again), "root-masked-1")


def test_content_is_the_same_under_other_compression_and_baskets(one: Path, tmp_path: Path) -> None:
    other = write_root(tmp_path / "a.root", compression=uproot.LZMA(1), baskets=3)

    assert content_digest(str(other)) == content_digest(str(one))
    assert content_digest(str(other), "root-masked-1") != content_digest(str(one), "root-masked-1")


def test_every_nan_is_the_same(one: Path, tmp_path: Path) -> None:
    payload = np.frombuffer(np.uint64(0x7FF8_0000_DEAD_BEEF).tobytes(), "f8")[0]

    assert content_digest(str(write_root(tmp_path / "a.root", nan=payload))) == content_digest(
        str(one)
    )


def test_another_value_is_another_content(one: Path, tmp_path: Path) -> None:
    assert content_digest(str(write_root(tmp_path / "a.root", seed=2))) != content_digest(str(one))


def test_moved_boundary_between_nested_lists_is_another_content(tmp_path: Path) -> None:
    for name, lists in (("a", [[1.0, 2.0], [3.0]]), ("b", [[1.0], [2.0, 3.0]])):
        with uproot.recreate(tmp_path / name) as file:
            file.mktree("t", {"v": "var * float64"}).extend({"v": awkward.Array(lists)})

    assert content_digest(str(tmp_path / "a")) != content_digest(str(tmp_path / "b"))


def test_strings_and_tuples_are_read(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a") as file:
        file.mkrntuple("n", {"name": ["x", "yz"], "at": awkward.Array([[[1, 2], []], [[3]]])})
    lines = comparison.root_content(str(tmp_path / "a"))

    assert len(lines) == 1
    assert '"opaque"' not in lines[0]
    assert ".namestring#" in lines[0]
    assert ".at[][] <i8" in lines[0]


def test_histogram_content_counts(tmp_path: Path) -> None:
    for name, shift in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        with uproot.recreate(tmp_path / name) as file:
            file["h"] = (np.array([1.0, 2.0 + shift]), np.array([0.0, 1.0, 2.0]))
    digests = [content_digest(str(tmp_path / name)) for name in "abc"]

    assert digests[0] == digests[1] != digests[2]


def test_what_uproot_cannot_interpret_counts_by_its_bytes(tmp_path: Path) -> None:
    for name, note in (("a", "same"), ("b", "same"), ("c", "else")):
        with uproot.recreate(tmp_path / name) as file:
            file["s"] = note
    lines = comparison.root_content(str(tmp_path / "a"))

    assert '"opaque"' in lines[0]
    assert (
        content_digest(str(tmp_path / "a"))
        == content_digest(str(tmp_path / "b"))
        != content_digest(str(tmp_path / "c"))
    )


def test_root_content_digest_is_frozen(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a") as file:
        file.mktree("t", {"n": np.int32, "v": "var * float64"}).extend(
            {"n": np.array([1, 2], "i4"), "v": awkward.Array([[1.5], []])}
        )

    assert (
        content_digest(str(tmp_path / "a"))
        == "root-content-2:64b834fc3832a5291f156edf2e9cd694c558d0613f594a419c078eec4d27071a"
    )


def test_masking_hides_dates_and_ids_alone(one: Path, again: Path) -> None:
    changed = [
        index
        for index, pair in enumerate(zip(one.read_bytes(), again.read_bytes(), strict=True))
        if pair[0] != pair[1]
    ]
    masked = comparison.mask_root(str(one))

    assert 20 <= len(changed) <= 200
    assert {masked[index] for index in changed} == {0}
    assert (
        sum(before != after for before, after in zip(one.read_bytes(), masked, strict=True)) <= 200
    )


def test_one_changed_byte_of_a_basket_shows_through_the_mask(one: Path, tmp_path: Path) -> None:
    data = bytearray(one.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.root").write_bytes(data)

    assert content_digest(str(tmp_path / "a.root"), "root-masked-1") != content_digest(
        str(one), "root-masked-1"
    )


@pytest.mark.parametrize("algorithm", ["root-content-2", "root-masked-1"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"root",
        b"root" + bytes(60),
        b"no root file at all",
        b"root\x00\x00\xf4\x00" + b"\xff" * 200,
    ],
    ids=["empty", "magic", "zeros", "other", "ones"],
)
def test_damaged_file_is_undecided(tmp_path: Path, algorithm: str, data: bytes) -> None:
    (tmp_path / "a.root").write_bytes(data)

    with pytest.raises(UndecidedError):
        content_digest(str(tmp_path / "a.root"), algorithm)


def test_damaged_output_differs_from_a_recorded_content(one: Path, tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(one.read_bytes()[:5000])
    wanted = {"sha256": "0" * 64, "comparator": "root", "content": content_digest(str(one))}

    assert compare(str(tmp_path / "a.root"), wanted) == ("DIFFERENT", "R2", "root-header")


def test_text_is_compared_without_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x\r\ny\rz\n")
    (tmp_path / "b").write_bytes(b"x\ny\nz\n")

    assert content_digest(str(tmp_path / "a"), "text-content-1") == content_digest(
        str(tmp_path / "b"), "text-content-1"
    )


def test_verdicts_name_their_level(one: Path, again: Path, tmp_path: Path) -> None:
    other = write_root(tmp_path / "a.root", seed=3)
    masked, content = content_digest(str(one), "root-masked-1"), content_digest(str(one))
    wanted = {"sha256": "0" * 64, "comparator": "root"}

    assert compare(str(again), {**wanted, "content": masked}) == (
        "EQUIVALENT",
        "R6",
        "root-masked-1",
    )
    assert compare(str(again), {**wanted, "content": content}) == (
        "EQUIVALENT",
        "R5",
        "root-content-2",
    )
    assert compare(str(again), {**wanted, "reference": str(one)}) == (
        "EQUIVALENT",
        "R6",
        "root-masked-1",
    )
    assert compare(str(other), {**wanted, "content": content}) == (
        "DIFFERENT",
        "R2",
        "root-content-2",
    )
    assert compare(str(other), {**wanted, "reference": str(one)}) == (
        "DIFFERENT",
        "R2",
        "root-content-2",
    )
    with pytest.raises(UndecidedError, match="more than dates and ids"):
        compare(str(other), {**wanted, "content": masked})


@pytest.mark.parametrize("kept", ["content", "masked", "reference"])
def test_root_output_of_a_rerun_is_verified(
    toy: Toy, tmp_path: Path, one: Path, again: Path, kept: str
) -> None:
    """The job copies a file that differs from the recorded output as a second writing does."""
    toy.record["command"]["steps"][1]["argv"] = ["cp", "in.root", "b.root"]
    toy.record["environment"]["variables"]["PATH"] = f"/usr/bin:/bin:{Path(sys.executable).parent}"
    toy.record["inputs"] = [{"name": "in.root", "sha256": toy.blobs.write(again.read_bytes())}]
    output = {"name": "b.root", "status": "written", "sha256": "0" * 64}
    if kept == "reference":
        output["sha256"] = toy.blobs.write(one.read_bytes())
    else:
        algorithm = {"content": "root-content-2", "masked": "root-masked-1"}[kept]
        output["content_digest"] = content_digest(str(one), algorithm)
    toy.record["outputs"] = [output]
    bag, out, report = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "report.json"

    python = {"JOBPROV_PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    words = ["sh", str(bag / "data/verify.sh"), "--report", str(report), str(out)]
    subprocess.run(
        ["sh", str(bag / "data/run.sh"), str(out)], env=python, check=True, capture_output=True
    )
    outcome = subprocess.run(words, env=python, capture_output=True, text=True, check=False)

    assert (outcome.returncode, outcome.stdout) == (0, "EQUIVALENT b.root\n"), outcome.stderr
    assert f'"level": "{"R5" if kept == "content" else "R6"}"' in report.read_text()


@pytest.mark.parametrize(("algorithm", "kept"), [("root-masked-1", 1), ("root-content-2", 0)])
def test_recorded_file_is_kept_unless_its_content_can_be_told_without(
    toy: Toy, one: Path, algorithm: str, kept: int
) -> None:
    """A masked digest alone leaves open whether the content differs.

    It does where more than dates and ids differs.
    """
    output = {"name": "b.root", "status": "written", "sha256": toy.blobs.write(one.read_bytes())}
    toy.record["outputs"] = [{**output, "content_digest": content_digest(str(one), algorithm)}]

    members = toy.plan().members

    assert sum(member.path == "data/outputs/files/b.root" for member in members) == kept


def test_without_uproot_the_content_is_undecided_and_the_mask_still_decides(
    one: Path, tmp_path: Path
) -> None:
    """`-S -E` hides the installed packages; -I would need nothing else."""
    script = tmp_path / "verify.py"
    script.write_bytes(comparison_program())
    bare = [sys.executable, "-I", "-S", str(script), "digest", str(one)]

    content = subprocess.run(bare, capture_output=True, text=True, check=False)
    masked = subprocess.run(
        [*bare, "--algorithm", "root-masked-1"], capture_output=True, text=True, check=False
    )

    assert content.returncode == 2
    assert "a Python with uproot" in content.stdout
    assert masked.stdout.strip() == content_digest(str(one), "root-masked-1")


@pytest.mark.parametrize("recorded", ["adler32:01be00b4", "adler32:1be00b4", "ADLER32:0x1BE00B4"])
def test_short_checksum_may_lack_its_zeros_and_decides_only_what_differs(
    tmp_path: Path, recorded: str
) -> None:
    """Two files that have one adler32 are no rarity: digits that change places are enough."""
    (tmp_path / "a").write_bytes(b"XX\x03")
    (tmp_path / "b").write_bytes(b"XX\x04")
    known = {"checksums": recorded, "comparator": "bytes"}

    with pytest.raises(UndecidedError, match="only an adler32 was recorded, which agrees"):
        compare(str(tmp_path / "a"), known)
    assert compare(str(tmp_path / "b"), known)[1] == "R2"


def test_masking_holds_a_file_once(one: Path, tmp_path: Path) -> None:
    """Of an output of some gigabytes three copies would not fit where the job did."""
    size = 32 << 20
    (tmp_path / "a.root").write_bytes(one.read_bytes().ljust(size, b"\0"))

    tracemalloc.start()
    try:
        content_digest(str(tmp_path / "a.root"), "root-masked-1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < size * 5 // 4
