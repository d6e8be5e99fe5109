"""Content digests of outputs, and how an output compares with what was recorded of it.

A bundle's verify.py is this module after the others that it imports (see `templates`). The package
runs the same code.

Content digests are `name-version:hex` (SHA-256): root-content-2, root-masked-1, and text-content-1,
which is text with its line ends made LF. A comparator is what the experiment declared for the
output (see `read_comparator`).

Python 3.6, standard library, and uproot where it is installed.
"""

import argparse
import hashlib
import sys
import traceback
import zlib
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Union

from jobprov.provenance.bundle.comparison.differences import differences
from jobprov.provenance.bundle.comparison.parameters import Comparator, read_comparator
from jobprov.provenance.bundle.comparison.root_content import root_content, root_objects
from jobprov.provenance.bundle.comparison.root_masking import (
    DamagedError,
    UndecidedError,
    mask_root,
)
from jobprov.provenance.bundle.comparison.root_statistics import smallest_p_value
from jobprov.provenance.bundle.comparison.root_tolerance import (
    is_near_root,
    is_same_unordered,
    kept_content,
)
from jobprov.provenance.bundle.comparison.text_comparison import is_near_text, masked_text

__all__ = [
    "DamagedError",
    "UndecidedError",
    "compare",
    "content_digest",
    "main",
    "mask_root",
    "root_content",
]

PIECE_BYTES = 1 << 20
_IS_UNDECIDED = 2  # exit codes
_IS_DIFFERENT = 1


class Recorded(NamedTuple):
    """What was recorded of an output; each is empty where it was not recorded.

    Attributes:
        sha256: of its bytes.
        content: its content digest.
        checksums: others of its bytes, `algorithm:value`, separated by commas.
        reference: path of the recorded file itself.
        comparator: what the experiment declared for it.
    """

    sha256: str
    content: str
    checksums: str
    reference: str
    comparator: str


class Verdict(NamedTuple):
    """How an output compares with what was recorded of it.

    Attributes:
        verdict: IDENTICAL, EQUIVALENT or DIFFERENT.
        level: `R7` for equal bytes, down to `R2` for different content.
        comparator: what decided, with its version.
    """

    verdict: str
    level: str
    comparator: str


class Match(NamedTuple):
    """How nearly an output matches the recorded file, and what found that."""

    level: str
    comparator: str


Step = Callable[[str, str, Comparator], Optional[Match]]
"""Compares a file with the recorded one; None if they do not match in this way."""


def content_digest(path: str, algorithm: str = "root-content-2") -> str:
    """Return the content digest of a file, `algorithm:hex`.

    Raises:
        UndecidedError: the algorithm is unknown, its library is not installed, or the file is not
            of its kind.
    """
    if algorithm == "root-content-2":
        lines = "".join(line + "\n" for line in root_content(path))
        content: Union[bytes, bytearray] = lines.encode("utf-8")
    elif algorithm == "root-masked-1":
        content = mask_root(path)
    elif algorithm == "text-content-1":
        with open(path, "rb") as file:
            content = file.read().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    else:
        raise UndecidedError(f"the content digest {algorithm} is not known to this version")
    return f"{algorithm}:{hashlib.sha256(content).hexdigest()}"


def compare(path: str, recorded: Dict[str, str]) -> Verdict:
    """Return how an output compares with what was recorded of it.

    Args:
        path: the output.
        recorded: the fields of `Recorded`; `-`, empty or left out where not recorded.

    Raises:
        UndecidedError: it cannot be decided here.
    """
    known = _read_recorded(recorded)
    comparator = read_comparator(known.comparator)
    by_bytes = _compare_bytes(path, known)
    if by_bytes is not None and by_bytes.verdict == "IDENTICAL":
        return by_bytes
    if by_bytes is not None and comparator.word == "bytes":
        return by_bytes
    try:
        if comparator.word in _STEPS:
            return _compare_as_declared(path, known, comparator)
        if known.reference:
            return _compare_reference(path, known.reference)
        if known.content:
            is_same = _has_content(path, known.content)
            return _content_verdict(known.content, is_same=is_same)
    except DamagedError:
        return Verdict("DIFFERENT", "R2", "root-header")
    if by_bytes is not None:
        raise UndecidedError(
            "bytes differ, as they may, and the record has no content digest to compare with"
        )
    if "adler32" in _recorded_checksums(known):
        raise UndecidedError(
            "of its bytes only an adler32 was recorded, which agrees; different files may share one"
        )
    raise UndecidedError(
        "the record has neither a checksum of this output nor a content digest to compare with"
    )


def _read_recorded(recorded: Dict[str, str]) -> Recorded:
    values = {}
    for field in Recorded._fields:
        value = recorded.get(field, "-")
        values[field] = "" if value == "-" else value
    return Recorded(**values)


# --- bytes ---


def _compare_bytes(path: str, recorded: Recorded) -> Optional[Verdict]:
    """Return what the best recorded checksum decides; None if it decides nothing."""
    checksums = _recorded_checksums(recorded)
    for algorithm in ("sha256", "sha512", "sha1", "md5"):
        if algorithm in checksums:
            if _checksum(path, algorithm) == checksums[algorithm]:
                return Verdict("IDENTICAL", "R7", algorithm)
            return Verdict("DIFFERENT", "R2", algorithm)
    # It has 32 bits: different ones show a difference, equal ones do not show that there is none
    if "adler32" in checksums and _adler32(path) != checksums["adler32"]:
        return Verdict("DIFFERENT", "R2", "adler32")
    return None


def _recorded_checksums(recorded: Recorded) -> Dict[str, str]:
    """Return the recorded checksums by algorithm; sha256 alone, where it is known."""
    if recorded.sha256:
        return {"sha256": recorded.sha256}
    checksums = {}
    for item in recorded.checksums.split(","):
        algorithm, colon, value = item.lower().partition(":")
        # Some catalogs write 0x, and leave out the zeros that an adler32 begins with
        if value.startswith("0x"):
            value = value[2:]
        if algorithm == "adler32":
            value = value.zfill(8)
        if colon:
            checksums[algorithm] = value
    return checksums


def _checksum(path: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _adler32(path: str) -> str:
    checksum = 1
    for piece in _pieces(path):
        checksum = zlib.adler32(piece, checksum)
    return f"{checksum:08x}"


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        piece = file.read(PIECE_BYTES)
        while piece:
            yield piece
            piece = file.read(PIECE_BYTES)


# --- content digests and the recorded file, where no comparator is declared ---


def _has_content(path: str, recorded: str) -> bool:
    """Return whether a file has the recorded content digest."""
    return content_digest(path, _algorithm_of(recorded)) == recorded


def _algorithm_of(digest: str) -> str:
    return digest.split(":", 1)[0]


def _content_verdict(recorded: str, *, is_same: bool) -> Verdict:
    """Return what follows where an output has, or does not have, the recorded content digest.

    Raises:
        UndecidedError: nothing follows.
    """
    algorithm = _algorithm_of(recorded)
    if algorithm == "root-masked-1":
        if is_same:
            return Verdict("EQUIVALENT", "R6", algorithm)
        raise UndecidedError(
            "more than dates and ids differs, and the record has no root-content-2 digest to "
            "compare with"
        )
    if is_same:
        return Verdict("EQUIVALENT", "R5", algorithm)
    return Verdict("DIFFERENT", "R2", algorithm)


def _compare_reference(path: str, reference: str) -> Verdict:
    if mask_root(path) == mask_root(reference):
        return Verdict("EQUIVALENT", "R6", "root-masked-1")
    if root_objects(path) == root_objects(reference):
        return Verdict("EQUIVALENT", "R5", "root-content-2")
    return Verdict("DIFFERENT", "R2", "root-content-2")


# --- declared comparators ---


def _compare_as_declared(path: str, recorded: Recorded, comparator: Comparator) -> Verdict:
    """Return the verdict of the first step that finds a match; the strictest step is the first."""
    if recorded.content and _is_strict_enough(recorded.content, comparator):
        is_same = _has_content(path, recorded.content)
        is_decided = recorded.comparator == "content" and not recorded.reference
        if is_same or is_decided:
            return _content_verdict(recorded.content, is_same=is_same)
    if not recorded.reference:
        raise UndecidedError(
            f"the comparator {comparator.word} needs the recorded file, which is not in this bundle"
        )
    for step in _steps_for(recorded.reference, comparator):
        match = step(path, recorded.reference, comparator)
        if match is not None:
            return Verdict("EQUIVALENT", match.level, match.comparator)
    return Verdict("DIFFERENT", "R2", comparator.named(comparator.word))


def _is_strict_enough(content: str, comparator: Comparator) -> bool:
    """Return whether an equal content digest is all that the comparator wants.

    `masked` wants more than equal content.
    """
    return comparator.word != "masked" or content.startswith("root-masked-")


def _steps_for(reference: str, comparator: Comparator) -> List[Step]:
    with open(reference, "rb") as file:
        is_root = file.read(5) == b"root\0"  # a text may begin with the word
    if comparator.word == "numeric" and not is_root:
        return [_match_text, _match_numbers_in_text]
    return _STEPS[comparator.word]


def _match_masked(path: str, reference: str, _comparator: Comparator) -> Optional[Match]:
    if mask_root(path) == mask_root(reference):
        return Match("R6", "root-masked-1")
    return None


def _match_content(path: str, reference: str, comparator: Comparator) -> Optional[Match]:
    if kept_content(path, comparator) != kept_content(reference, comparator):
        return None
    if comparator.ignore:
        return Match("R5", comparator.named("root-content"))
    return Match("R5", "root-content-2")


def _match_unordered(path: str, reference: str, comparator: Comparator) -> Optional[Match]:
    if is_same_unordered(path, reference, comparator):
        return Match("R5~", comparator.named("root-unordered"))
    return None


def _match_numbers(path: str, reference: str, comparator: Comparator) -> Optional[Match]:
    if is_near_root(path, reference, comparator):
        return Match("R4", comparator.named("numeric"))
    return None


def _match_statistics(path: str, reference: str, comparator: Comparator) -> Optional[Match]:
    p_value = smallest_p_value(path, reference, comparator)
    if p_value >= comparator.p_value:
        return Match("R3", f"{comparator.named('histograms')}:p={p_value:.3g}")
    return None


def _match_text(path: str, reference: str, comparator: Comparator) -> Optional[Match]:
    if masked_text(path, comparator.mask) == masked_text(reference, comparator.mask):
        return Match("R6", comparator.named("text"))
    return None


def _match_numbers_in_text(path: str, reference: str, comparator: Comparator) -> Optional[Match]:
    text = masked_text(path, comparator.mask)
    if is_near_text(text, masked_text(reference, comparator.mask), comparator):
        return Match("R4", comparator.named("numeric"))
    return None


# What each comparator tries, the strictest first
_STEPS: Dict[str, List[Step]] = {
    "masked": [_match_masked],
    "content": [_match_masked, _match_content],
    "unordered": [_match_masked, _match_content, _match_unordered],
    "numeric": [_match_masked, _match_content, _match_numbers],
    "histograms": [_match_masked, _match_content, _match_statistics],
    "text": [_match_text],
}


# --- the command ---


def main(arguments: List[str]) -> int:
    """Run `compare FILE …`, `explain FILE …` or `digest FILE`, and return the exit code.

    `compare` prints `VERDICT LEVEL COMPARATOR`, `explain` what differs from the recorded file, and
    `digest` a content digest. Where something is missing here, they print a sentence that says
    what, and the exit code is 2.
    """
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Compare the content of an output with the record."
    )
    parser.add_argument("act", choices=["compare", "explain", "digest"])
    parser.add_argument("file")
    for field in Recorded._fields:
        parser.add_argument(f"--{field}", default="-")
    parser.add_argument("--algorithm", default="root-content-2")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.act == "digest":
            print(content_digest(chosen.file, chosen.algorithm))
            return 0
        if chosen.act == "explain":
            known = _read_recorded(vars(chosen))
            found = differences(chosen.file, known.reference, read_comparator(known.comparator))
            print("\n".join(found))
            return 0
        verdict = compare(chosen.file, vars(chosen))
    except UndecidedError as error:
        print(error)
        return _IS_UNDECIDED
    except Exception as error:
        # A damaged file may make uproot raise anything. verify.sh shows what is printed here, so
        # print no traceback
        reason = "".join(traceback.format_exception_only(type(error), error)).split("\n", 1)[0]
        print(f"the comparison failed: {reason}")
        return _IS_UNDECIDED
    print(*verdict)
    return _IS_DIFFERENT if verdict.verdict == "DIFFERENT" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
