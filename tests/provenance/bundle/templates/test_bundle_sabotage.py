"""Whatever is done to a bundle, `verify.sh --bundle` names it: the table of sabotage."""

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.library.productions.toy_job import Run, Toy


def _flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << place % 8
    file.write_bytes(bytes(data))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Toy().unpack(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def bag(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle, to be spoilt."""
    return Path(shutil.copytree(whole, tmp_path / "bag", symlinks=True))


def _named(run: Run, bag: Path) -> tuple[int, str]:
    ended = run(bag / "data/verify.sh", "--bundle")
    return ended.returncode, ended.stderr


def test_whole_bundle_has_no_findings(bag: Path, shell: Run) -> None:
    assert _named(shell, bag) == (
        0,
        "verify.sh: the bundle is as it was made, as far as its own lists tell.\n",
    )


CHECKER = {"data/verify.sh", "data/lib.sh"}


def _files(bag: Path) -> list[str]:
    return sorted(
        str(file.relative_to(bag))
        for file in bag.rglob("*")
        if file.is_file() and file.stat().st_size
    )


@pytest.mark.parametrize(
    "where",
    [
        "between",
        pytest.param("first", marks=pytest.mark.slow),
        pytest.param("last", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_flipped_bit_of_every_payload_file_is_named(bag: Path, dash: Run, where: str) -> None:
    places = random.Random(7)  # noqa: S311 - the same places each time
    spoilt = [name for name in _files(bag) if name.startswith("data/") and name not in CHECKER]
    for name in spoilt:
        size = (bag / name).stat().st_size
        _flip(bag / name, {"first": 0, "last": size - 1, "between": places.randrange(size)}[where])

    code, told = _named(dash, bag)

    assert code == 1
    assert [name for name in spoilt if f"CHANGED {name}" not in told] == []


@pytest.mark.slow
def test_flipped_bit_of_a_tag_file_is_named(bag: Path, dash: Run) -> None:
    """The lists of lists are named by what they no longer fit."""
    for number, name in enumerate(name for name in _files(bag) if not name.startswith("data/")):
        place = [0, -1, (bag / name).stat().st_size // 2][number % 3]
        _flip(bag / name, place)
        code, told = _named(dash, bag)
        _flip(bag / name, place)

        assert code == 1, name
        # A list of lists is named itself, or as that by which others seem changed
        assert name in told or "MISSING" in told, name


def test_flipped_bit_of_the_checker_is_named_by_coreutils(bag: Path) -> None:
    for name in CHECKER:
        _flip(bag / name, 100)

    words = ["sha256sum", "-c", "manifest-sha256.txt"]
    ended = subprocess.run(words, cwd=bag, capture_output=True, text=True, check=False)

    assert {line.split(":")[0] for line in ended.stdout.splitlines() if "FAILED" in line} == CHECKER


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["shasum", "openssl", "busybox", "cksum"])
def test_damage_is_named_by_whatever_tool_is_there(bag: Path, tmp_path: Path, tool: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in (
        {tool, "cat", "sort", "uniq", "wc", "perl"}
        if tool == "shasum"
        else {tool, "cat", "sort", "uniq", "wc"}
    ):
        (programs / name).symlink_to(
            shutil.which(name, path="/usr/bin:/bin") or pytest.fail(f"{name} is not here")
        )
    words = [shutil.which("dash") or "dash", str(bag / "data/verify.sh"), "--bundle"]

    def told() -> tuple[int, str]:
        ended = subprocess.run(
            words, env={"PATH": str(programs)}, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stderr

    assert told()[0] == 0
    _flip(bag / "data/JOB.json", 50)
    code, said = told()
    assert code == 1
    assert "CHANGED data/JOB.json" in said


def _drop(bag: Path) -> None:
    (bag / "data/fcl/closure.tsv").unlink()


def _drop_tag_file(bag: Path) -> None:
    (bag / "bag-info.txt").unlink()


def _drop_manifest(bag: Path) -> None:
    (bag / "manifest-sha512.txt").unlink()


def _drop_list_of_lists(bag: Path) -> None:
    (bag / "tagmanifest-sha256.txt").unlink()


def _add_beside_payload(bag: Path) -> None:
    (bag / "fetch.txt").write_text("more\n")


def _add(bag: Path) -> None:
    (bag / "data/scripts/more.sh").write_text("#!/bin/sh\n")


def _add_hidden(bag: Path) -> None:
    (bag / "data/.hidden").write_text("")


def _rename(bag: Path) -> None:
    (bag / "data/JOB.json").rename(bag / "data/job.json")


def _swap(bag: Path) -> None:
    first, second, aside = bag / "data/run.sh", bag / "data/seeds.tsv", bag / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def _reorder_manifest(bag: Path) -> None:
    file = bag / "manifest-sha256.txt"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))


def _cut_list_of_lists(bag: Path) -> None:
    file = bag / "tagmanifest-sha512.txt"
    file.write_bytes(file.read_bytes()[:-1])


def _replace_by_link(bag: Path) -> None:
    (bag / "data/JOB.json").unlink()
    (bag / "data/JOB.json").symlink_to("README.txt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_drop, ["MISSING data/fcl/closure.tsv"]),
        (_drop_tag_file, ["MISSING bag-info.txt"]),
        (_drop_manifest, ["MISSING manifest-sha512.txt"]),
        (_drop_list_of_lists, ["MISSING tagmanifest-sha256.txt"]),
        (_cut_list_of_lists, ["CHANGED tagmanifest-sha512.txt"]),
        (_add, ["EXTRA data/scripts/more.sh"]),
        (_add_beside_payload, ["EXTRA fetch.txt"]),
        (_add_hidden, ["EXTRA data/.hidden"]),
        (_rename, ["MISSING data/JOB.json", "EXTRA data/job.json"]),
        (_swap, ["CHANGED data/run.sh", "CHANGED data/seeds.tsv"]),
        (_reorder_manifest, ["CHANGED manifest-sha256.txt"]),
        (_replace_by_link, ["CHANGED data/JOB.json"]),
    ],
)
def test_sabotage_is_named(
    bag: Path, shell: Run, spoil: Callable[[Path], None], told: list[str]
) -> None:
    spoil(bag)

    code, said = _named(shell, bag)

    assert code == 1, said
    for words in told:
        assert words in said


def test_link_in_place_of_the_whole_payload_is_named(bag: Path, shell: Run) -> None:
    (bag / "data").rename(bag.parent / "elsewhere")
    (bag / "data").symlink_to(bag.parent / "elsewhere")

    code, told = _named(shell, bag)

    assert code == 1
    assert told.startswith("ODD data (a link")
