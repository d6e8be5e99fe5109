"""Content digests of outputs, and their comparison: what verify.py in a bundle and the package itself both run.

verify.py is this module with root_masking and root_content before it (see templates): the standard library alone, uproot where
that is at hand, Python 3.6. Digests are `name-version:hex` (SHA-256): root-content-1, root-masked-1, and text-content-1, which
is text with its line ends made LF.
"""

# ruff: noqa: D417, UP006, UP031, UP035, UP045, PTH123 - Python 3.6, and read by people who have no linter
import argparse
import hashlib
import sys
import zlib
from typing import Any, Dict, List, Optional, Tuple

from provenance.bundle.root_content import root_content
from provenance.bundle.root_masking import DamagedError, UndecidedError, mask_root

__all__ = ["DamagedError", "UndecidedError", "compare", "content_digest", "main", "mask_root", "root_content"]

PIECE = 1 << 20


def content_digest(path: str, algorithm: str = "root-content-1") -> str:
    """The content digest of a file, `algorithm:hex`.

    Raises:
        UndecidedError: the algorithm is unknown, its library is not installed, or the file is not of its kind.
    """
    if algorithm == "root-content-1":
        text = "".join(line + "\n" for line in root_content(path))
        return _named(algorithm, hashlib.sha256(text.encode("utf-8")))
    if algorithm == "root-masked-1":
        return _named(algorithm, hashlib.sha256(mask_root(path)))
    if algorithm == "text-content-1":
        with open(path, "rb") as file:
            return _named(algorithm, hashlib.sha256(file.read().replace(b"\r\n", b"\n").replace(b"\r", b"\n")))
    raise UndecidedError("the content digest %s is not known to this version" % algorithm)


def _named(algorithm: str, seen: Any) -> str:
    return "%s:%s" % (algorithm, seen.hexdigest())


def compare(path: str, wanted: Dict[str, str]) -> Tuple[str, str, str]:
    """(IDENTICAL, EQUIVALENT or DIFFERENT; level; comparator) of an output and what was recorded of it.

    Args:
        wanted: `sha256`, `content`, `checksums`, `reference` (a file), `comparator`; `-` or empty where not recorded.

    Raises:
        UndecidedError: it cannot be told here.
    """
    known = {key: value for key, value in wanted.items() if value not in ("", "-")}
    exact = _compare_bytes(path, known)
    if exact is not None and (exact[0] == "IDENTICAL" or known.get("comparator") == "bytes"):
        return exact
    try:
        if "reference" in known:
            return _compare_reference(path, known["reference"])
        if "content" in known:
            return _compare_content(path, known["content"])
    except DamagedError:
        return "DIFFERENT", "R2", "root-header"
    raise UndecidedError("bytes differ, as they may, and the record has no content digest to compare with")


def _compare_bytes(path: str, known: Dict[str, str]) -> Optional[Tuple[str, str, str]]:
    checksums = dict(item.split(":", 1) for item in known.get("checksums", "").split(",") if ":" in item)
    if "sha256" in known:
        checksums = {"sha256": known["sha256"]}
    for algorithm in ("sha256", "sha512", "sha1", "md5", "adler32"):
        if algorithm in checksums:
            same = _checksum(path, algorithm) == checksums[algorithm].lower()
            return ("IDENTICAL", "R7", algorithm) if same else ("DIFFERENT", "R2", algorithm)
    return None


def _checksum(path: str, algorithm: str) -> str:
    adler = 1
    seen = hashlib.sha256() if algorithm == "adler32" else hashlib.new(algorithm)
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            adler = zlib.adler32(piece, adler)
            seen.update(piece)
    return "%08x" % adler if algorithm == "adler32" else seen.hexdigest()


def _compare_reference(path: str, reference: str) -> Tuple[str, str, str]:
    if mask_root(path) == mask_root(reference):
        return "EQUIVALENT", "R6", "root-masked-1"
    same = root_content(path) == root_content(reference)
    return ("EQUIVALENT", "R5", "root-content-1") if same else ("DIFFERENT", "R2", "root-content-1")


def _compare_content(path: str, recorded: str) -> Tuple[str, str, str]:
    algorithm = recorded.split(":", 1)[0]
    same = content_digest(path, algorithm) == recorded
    if algorithm == "root-masked-1" and not same:
        raise UndecidedError(
            "more than dates and ids differs, and the record has no root-content-1 digest to compare with"
        )
    return (
        ("EQUIVALENT", "R6" if algorithm == "root-masked-1" else "R5", algorithm)
        if same
        else ("DIFFERENT", "R2", algorithm)
    )


def main(arguments: List[str]) -> int:
    """`compare FILE …` prints `VERDICT LEVEL COMPARATOR`, or a sentence and answers 2; `digest FILE` prints content digests."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Compare the content of an output with the record.")
    parser.add_argument("act", choices=["compare", "digest"])
    parser.add_argument("file")
    for option in ("sha256", "content", "checksums", "reference", "comparator"):
        parser.add_argument("--" + option, default="-")
    parser.add_argument("--algorithm", default="root-content-1")
    chosen = vars(parser.parse_args(arguments))
    try:
        if chosen["act"] == "digest":
            sys.stdout.write(content_digest(chosen["file"], chosen["algorithm"]) + "\n")
            return 0
        answer = compare(chosen["file"], chosen)
    except UndecidedError as error:
        sys.stdout.write("%s\n" % error)
        return 2
    sys.stdout.write("%s %s %s\n" % answer)
    return 0 if answer[0] != "DIFFERENT" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
