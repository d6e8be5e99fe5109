"""The content digest that the hook gives to ROOT outputs.

The one that a rerun's comparison computes.
"""

import random
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import uproot

from jobprov.provenance.bundle.comparison.verify import DamagedError, content_digest
from jobprov.provenance.capture.files import root_content as content
from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError
from tests.library.hook import Runner, only_entry


def write_root(path: Path) -> Path:
    """Return a file with a tree of several baskets, and folders within folders."""
    with uproot.recreate(path) as file:
        tree = file.mktree("events", {"x": np.float64, "run": np.int32})
        for start in range(3):
            tree.extend({"x": np.arange(5000.0) + start, "run": np.full(5000, start, dtype="i4")})
        file["a/b/h"] = np.histogram(np.arange(100.0), bins=10)
        file["note"] = "text"
    return path


@pytest.fixture(scope="module")
def root_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("root") / "a.root")


def masked(path: Path) -> str | None:
    """Return the digest as the comparison of bundles has it."""
    try:
        return content_digest(str(path), "root-masked-1")
    except DamagedError:
        return None


def test_digest_is_that_of_the_comparison(root_file: Path) -> None:
    assert content.root_digest(str(root_file), Clock(60)) == masked(root_file)
    assert str(masked(root_file)).startswith("root-masked-1:")


@pytest.mark.slow
def test_file_written_again_has_the_same_digest(root_file: Path, tmp_path: Path) -> None:
    time.sleep(max(0.0, 1.1 - (time.time() - root_file.stat().st_mtime)))
    again = write_root(tmp_path / "a.root")

    assert again.read_bytes() != root_file.read_bytes()
    assert content.root_digest(str(again), Clock(60)) == content.root_digest(
        str(root_file), Clock(60)
    )


@pytest.mark.parametrize("seed", range(60))
def test_both_rules_agree_on_damaged_files(root_file: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    data = bytearray(root_file.read_bytes())
    for _ in range(chance.randint(1, 4)):
        # the header, the key list at the end, and anywhere
        at = chance.choice(
            [
                chance.randrange(100),
                len(data) - 1 - chance.randrange(1500),
                chance.randrange(len(data)),
            ]
        )
        data[at] = chance.randrange(256)
    if seed % 4 == 0:
        del data[chance.randrange(len(data)) :]
    damaged = tmp_path / "a.root"
    damaged.write_bytes(data)

    assert content.root_digest(str(damaged), Clock(60)) == masked(damaged)


def test_key_list_that_never_ends_is_damage(root_file: Path, tmp_path: Path) -> None:
    """A length of nothing, and two thousand million keys."""
    data = bytearray(root_file.read_bytes())
    with uproot.open(root_file) as file:
        keys_at = file.fSeekKeys
    head = int.from_bytes(data[keys_at + 14 : keys_at + 16], "big")
    data[keys_at + head : keys_at + head + 4] = b"\x7f\xff\xff\xff"
    data[keys_at + head + 4 + 14 : keys_at + head + 4 + 16] = bytes(2)
    (tmp_path / "a.root").write_bytes(data)

    assert content.root_digest(str(tmp_path / "a.root"), Clock(60)) is None
    assert masked(tmp_path / "a.root") is None


@pytest.mark.parametrize("data", [b"", b"root", b"hello, world" * 100])
def test_what_is_no_root_file_has_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)

    assert content.root_digest(str(tmp_path / "x"), Clock(60)) is None


@pytest.mark.parametrize("piece", [64, 1000, 4096])
def test_pieces_of_any_size_give_the_same_digest(
    root_file: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(content, "_PIECE", piece)

    assert content.root_digest(str(root_file), Clock(60)) == masked(root_file)


@pytest.mark.slow
def test_large_file_is_read_in_pieces(root_file: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.root"
    large.write_bytes(root_file.read_bytes())
    with large.open("r+b") as file:
        file.truncate(30_000_000)
    tracemalloc.start()

    found = content.root_digest(str(large), Clock(60))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == masked(large)
    assert peak < 8_000_000


def test_time_for_hashing_is_kept(root_file: Path) -> None:
    with pytest.raises(OutOfTimeError):
        content.root_digest(str(root_file), Clock(0))


@pytest.mark.slow
def test_output_of_a_job_has_the_digest(runner: Runner, root_file: Path) -> None:
    runner(
        "run",
        "--output",
        "out.root",
        "--output",
        "note.txt",
        "--",
        "sh",
        "-c",
        f"cp {root_file} out.root; echo > note.txt",
    )

    record, _ = only_entry(runner)
    digests = {output["name"]: output.get("content_digest") for output in record["outputs"]}
    assert digests == {"out.root": masked(root_file), "note.txt": None}
