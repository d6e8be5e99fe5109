"""The whole table of sabotage: each kind at each file, folder and list of a bundle, one at a time.

`verify.sh --bundle` has to name each. Nothing can be named by a bundle of which everything was
forged, its lists of lists included: the last test holds this limit.
"""

import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jobprov.provenance.bundle.cksum import posix_cksum
from tests.library.productions.toy_job import Run, Toy

Spoil = Callable[[Path, str], None]
CHECKER = {"data/verify.sh", "data/lib.sh"}
"""What checks cannot be trusted to find damage in itself: README.txt says to ask coreutils."""
LISTS = [
    "manifest-sha256.txt",
    "manifest-sha512.txt",
    "posix-cksum.txt",
    "tagmanifest-sha256.txt",
    "tagmanifest-sha512.txt",
]


class Case(NamedTuple):
    """One act of sabotage: `spoil(bag, path)`; `named` are words of which one must be told."""

    kind: str
    path: str
    spoil: Spoil
    named: tuple[str, ...]


def _with_bytes(change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(bag: Path, path: str) -> None:
        file = bag / path
        file.write_bytes(change(file.read_bytes()))

    return spoil


def _remove(bag: Path, path: str) -> None:
    (bag / path).unlink()


def _rename(bag: Path, path: str) -> None:
    (bag / path).rename(bag / f"{path}x")


def _change_case(bag: Path, path: str) -> None:
    file = bag / path
    file.rename(file.with_name(file.name.swapcase()))


def _link_to_the_same_bytes(bag: Path, path: str) -> None:
    file, elsewhere = bag / path, bag.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def _folder(bag: Path, path: str) -> None:
    (bag / path).unlink()
    (bag / path).mkdir()


def _pipe(bag: Path, path: str) -> None:
    (bag / path).unlink()
    os.mkfifo(bag / path)


def _copy_beside(bag: Path, path: str) -> None:
    shutil.copy2(bag / path, bag / f"{path}.bak")


def _other_mode(bag: Path, path: str) -> None:
    (bag / path).chmod((bag / path).stat().st_mode ^ 0o111)


def _set_user_id(bag: Path, path: str) -> None:
    (bag / path).chmod((bag / path).stat().st_mode | 0o4000)


def _other_file(bag: Path, path: str) -> None:
    """The bytes of another file of the bundle."""
    other = "bagit.txt" if path != "bagit.txt" else "data/JOB.json"
    shutil.copyfile(bag / other, bag / path)


OF_BYTES: dict[str, Spoil] = {
    "a bit of the first byte": _with_bytes(lambda data: bytes([data[0] ^ 1]) + data[1:]),
    "a bit of the last byte": _with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a byte less": _with_bytes(lambda data: data[:-1]),
    "a byte more": _with_bytes(lambda data: data + b"\n"),
    "no bytes": _with_bytes(lambda _data: b""),
    "another file's bytes": _other_file,
}
OF_FILES: dict[str, Spoil] = {
    "removed": _remove,
    "renamed": _rename,
    "name in other case": _change_case,
    "link to the same bytes": _link_to_the_same_bytes,
    "folder in its place": _folder,
    "pipe in its place": _pipe,
    "copy beside it": _copy_beside,
    "other mode": _other_mode,
    "set user id": _set_user_id,
}


def _empty_folder(bag: Path, path: str) -> None:
    (bag / path / "none").mkdir()


def _hidden_file(bag: Path, path: str) -> None:
    (bag / path / ".none").touch()


def _link_to_the_same_folder(bag: Path, path: str) -> None:
    folder, elsewhere = bag / path, bag.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


OF_FOLDERS: dict[str, Spoil] = {
    "an empty folder": _empty_folder,
    "a hidden file": _hidden_file,
    "link to the same folder": _link_to_the_same_folder,
}


def _with_lines(change: Callable[[list[bytes]], list[bytes]]) -> Spoil:
    return _with_bytes(lambda data: b"".join(change(data.splitlines(keepends=True))))


OF_LISTS: dict[str, Spoil] = {
    "a line less": _with_lines(lambda lines: lines[1:]),
    "a line twice": _with_lines(lambda lines: [*lines, lines[-1]]),
    "lines turned round": _with_lines(lambda lines: lines[::-1]),
    "digits in capitals": _with_lines(lambda lines: [lines[0].upper(), *lines[1:]]),
    "an empty line": _with_lines(lambda lines: [*lines, b"\n"]),
    "a comment": _with_lines(lambda lines: [b"# all is well\n", *lines]),
    "line ends of another system": _with_lines(
        lambda lines: [line.replace(b"\n", b"\r\n") for line in lines]
    ),
    "a blank at the end": _with_lines(lambda lines: [lines[0].rstrip(b"\n") + b" \n", *lines[1:]]),
    "a star for binary": _with_lines(lambda lines: [lines[0].replace(b"  ", b" *", 1), *lines[1:]]),
    "a line of a file that is not there": _with_lines(
        lambda lines: [*lines, lines[-1].replace(b".", b"-", 1)]
    ),
}
VICTIM = "data/JOB.json"


def _forge(bag: Path, *lists: str) -> None:
    """Change the record, and make these lists fit again, in the order given."""
    _with_bytes(lambda data: data.replace(b"toy", b"tot", 1))(bag, VICTIM)
    for name in lists:
        _fit(bag, name)


def _fit(bag: Path, name: str) -> None:
    """Make a list again from the files that it lists."""
    lines = []
    for line in (bag / name).read_text().splitlines():
        path = line.split()[-1]
        data = (bag / path).read_bytes()
        if name == "posix-cksum.txt":
            lines.append(f"{posix_cksum(data):10d} {len(data):12d} {path}\n")
        else:
            digest = hashlib.new(name.removesuffix(".txt").rpartition("-")[2], data)
            lines.append(f"{digest.hexdigest()}  {path}\n")
    (bag / name).write_text("".join(lines))


def _state(bag: Path, old: str, new: str) -> None:
    """Let bag-info.txt state something else, and make the lists of lists fit again."""
    file = bag / "bag-info.txt"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    _fit(bag, "tagmanifest-sha256.txt")
    _fit(bag, "tagmanifest-sha512.txt")


TAGS = ("tagmanifest-sha256.txt", "tagmanifest-sha512.txt")
FORGERIES: dict[str, Callable[[Path], None]] = {
    "the first list": lambda bag: _forge(bag, "manifest-sha256.txt"),
    "the second list": lambda bag: _forge(bag, "manifest-sha512.txt"),
    "both lists": lambda bag: _forge(bag, "manifest-sha256.txt", "manifest-sha512.txt"),
    "all of SHA-256": lambda bag: _forge(bag, "manifest-sha256.txt", TAGS[0]),
    "all of SHA-512": lambda bag: _forge(bag, "manifest-sha512.txt", TAGS[1]),
    "all but the second list": lambda bag: _forge(
        bag, "manifest-sha256.txt", "posix-cksum.txt", *TAGS
    ),
    "all but POSIX's": lambda bag: _forge(bag, "manifest-sha256.txt", "manifest-sha512.txt", *TAGS),
    "all but the last list": lambda bag: _forge(bag, *LISTS[:4]),
    "all but what bag-info.txt states": lambda bag: _forge(bag, *LISTS),
    "number of bytes": lambda bag: _state(bag, "Payload-Oxum: ", "Payload-Oxum: 1"),
    "digest of the record": lambda bag: _state(bag, "sha256:", "sha256:0"),
    "version": lambda bag: _state(bag, "Spec-Version: 1", "Spec-Version: 2"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Toy().unpack(tmp_path_factory.mktemp("whole"))


def _cases(whole: Path) -> list[Case]:
    return [*_cases_of_files(whole), *_cases_of_folders_and_lists(whole), *_forgeries()]


def _cases_of_files(whole: Path) -> Iterator[Case]:
    for file in sorted(path for path in whole.rglob("*") if path.is_file()):
        path = str(file.relative_to(whole))
        named = ("tagmanifest-",) if path.startswith("tagmanifest-") else (path,)
        for kind, spoil in OF_BYTES.items():
            if path not in CHECKER and file.stat().st_size:
                yield Case(kind, path, spoil, named)
        for kind, spoil in OF_FILES.items():
            if path not in CHECKER or kind in {"copy beside it", "other mode", "set user id"}:
                yield Case(kind, path, spoil, (path,))


def _cases_of_folders_and_lists(whole: Path) -> Iterator[Case]:
    for folder in sorted(path for path in whole.rglob("*") if path.is_dir()):
        path = str(folder.relative_to(whole))
        for kind, spoil in OF_FOLDERS.items():
            yield Case(kind, path, spoil, (path,))
    for path in LISTS:
        for kind, spoil in OF_LISTS.items():
            yield Case(kind, path, spoil, (path,))


def _forgeries() -> Iterator[Case]:
    for kind, forge in FORGERIES.items():
        yield Case(
            f"forged {kind}",
            VICTIM,
            lambda bag, _path, forge=forge: forge(bag),  # type: ignore[misc]
            (VICTIM, "bag-info.txt"),
        )


def _unnamed(whole: Path, folder: Path, dash: Run, cases: list[Case]) -> list[tuple[str, str]]:
    """The acts of sabotage that verify.sh did not name."""
    unnamed = []
    for case in cases:
        bag = Path(shutil.copytree(whole, folder / "bag", symlinks=True))
        case.spoil(bag, case.path)
        ended = dash(bag / "data/verify.sh", "--bundle")
        if ended.returncode != 1 or not any(words in ended.stderr for words in case.named):
            unnamed.append((case.kind, case.path))
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    return unnamed


@pytest.mark.slow
def test_sabotage_of_a_sample_is_named(whole: Path, tmp_path: Path, dash: Run) -> None:
    chosen = random.Random(19).sample(_cases(whole), 12)  # noqa: S311 - the same each time

    assert _unnamed(whole, tmp_path, dash, chosen) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_sabotage_of_every_kind_at_every_place_is_named(
    whole: Path, tmp_path: Path, dash: Run, part: int
) -> None:
    cases = _cases(whole)
    assert len(cases) >= 500
    assert len({(case.kind, case.path) for case in cases}) == len(cases)

    tried = cases[part::4]
    if "JOBPROV_TRIAL_SABOTAGE" not in os.environ:
        # All take twenty minutes, which is more than a change can wait for
        tried = random.Random(part).sample(tried, 15)  # noqa: S311 - the same each time
    assert _unnamed(whole, tmp_path, dash, tried) == []


def test_bundle_of_which_everything_was_forged_is_not_named(
    whole: Path, tmp_path: Path, dash: Run
) -> None:
    """Only the digest of its tar or a signature tells."""
    bag = Path(shutil.copytree(whole, tmp_path / "bag", symlinks=True))
    _forge(bag, *LISTS[:3])
    record = hashlib.sha256((bag / VICTIM).read_bytes()).hexdigest()
    old = hashlib.sha256((whole / VICTIM).read_bytes()).hexdigest()
    _state(bag, old, record)

    assert dash(bag / "data/verify.sh", "--bundle").returncode == 0
