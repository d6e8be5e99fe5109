"""Content digests of outputs, and their comparison.

What verify.py in a bundle and the package itself both run.

verify.py is this module with the others that it imports before it (see templates): the standard
library alone, uproot where that is at hand, Python 3.6. Digests are `name-version:hex` (SHA-256):
root-content-2, root-masked-1, and text-content-1, which is text with its line ends made LF. A
comparator is a word, and, where it has parameters, these as JSON after a blank: what the experiment
declared for the output.
"""

# ruff: noqa: BLE001, D417, FURB188, UP006, UP031, UP035, UP045, PTH123 - Python 3.6, and read by
# people who have no linter
import argparse
import hashlib
import json
import sys
import traceback
import zlib
from typing import Any, Callable, Dict, List, Optional, Tuple

from jobprov.provenance.bundle.comparison.root_content import root_content, root_objects
from jobprov.provenance.bundle.comparison.root_masking import (
    DamagedError,
    UndecidedError,
    mask_root,
)
from jobprov.provenance.bundle.comparison.root_statistics import P_VALUE, likeness
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

PIECE = 1 << 20

_Answer = Optional[Tuple[str, str]]
_Step = Callable[[str, str, Dict[str, Any]], _Answer]


def content_digest(path: str, algorithm: str = "root-content-2") -> str:
    """The content digest of a file, `algorithm:hex`.

    Raises:
        UndecidedError: the algorithm is unknown, its library is not installed, or the file is not
            of its kind.
    """
    if algorithm == "root-content-2":
        text = "".join(line + "\n" for line in root_content(path))
        return _named(algorithm, hashlib.sha256(text.encode("utf-8")))
    if algorithm == "root-masked-1":
        return _named(algorithm, hashlib.sha256(mask_root(path)))
    if algorithm == "text-content-1":
        with open(path, "rb") as file:
            return _named(
                algorithm, hashlib.sha256(file.read().replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            )
    raise UndecidedError("the content digest %s is not known to this version" % algorithm)


def _named(algorithm: str, seen: Any) -> str:
    return "%s:%s" % (algorithm, seen.hexdigest())


def compare(path: str, wanted: Dict[str, str]) -> Tuple[str, str, str]:
    """(IDENTICAL, EQUIVALENT or DIFFERENT; level; comparator) of an output and what was recorded of it.

    Args:
        wanted: `sha256`, `content`, `checksums`, `reference` (a file), `comparator`; `-` or empty
            where not recorded.

    Raises:
        UndecidedError: it cannot be told here.
    """
    known = {key: value for key, value in wanted.items() if value not in ("", "-")}
    word, rule = read_comparator(known.get("comparator", ""))
    exact = _compare_bytes(path, known)
    if exact is not None and (exact[0] == "IDENTICAL" or word == "bytes"):
        return exact
    try:
        if word in _LADDERS:
            return _climb_down(path, known, word, rule)
        if "reference" in known:
            return _compare_reference(path, known["reference"])
        if "content" in known:
            return _compare_content(path, known["content"])
    except DamagedError:
        return "DIFFERENT", "R2", "root-header"
    if exact is None and _is_short_sum_equal(path, known):
        raise UndecidedError(
            "of its bytes only an adler32 was recorded, which agrees; different files may share one"
        )
    if exact is None:
        raise UndecidedError(
            "the record has neither a checksum of this output nor a content digest to compare with"
        )
    raise UndecidedError(
        "bytes differ, as they may, and the record has no content digest to compare with"
    )


def read_comparator(text: str) -> Tuple[str, Dict[str, Any]]:
    """(word, parameters) of a comparator."""
    word, _blank, parameters = text.partition(" ")
    rule = json.loads(parameters) if parameters else {}
    rule["digest"] = hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
    return word, rule


def _climb_down(
    path: str, known: Dict[str, str], word: str, rule: Dict[str, Any]
) -> Tuple[str, str, str]:
    """Try what a comparator allows, the strictest first; the first that holds gives the level."""
    if "content" in known and _may_decide(word, known):
        is_decided = known["comparator"] == "content" and "reference" not in known
        if (
            is_decided
            or content_digest(path, known["content"].split(":", 1)[0]) == known["content"]
        ):
            return _compare_content(path, known["content"])
    if "reference" not in known:
        raise UndecidedError(
            "the comparator %s needs the recorded file, which is not in this bundle" % word
        )
    ladder = (
        _LADDERS[word] if _is_root(known["reference"]) else _TEXT_LADDERS.get(word, _LADDERS[word])
    )
    for step in ladder:
        answer = step(path, known["reference"], rule)
        if answer is not None:
            return "EQUIVALENT", answer[0], answer[1]
    return "DIFFERENT", "R2", _tagged(word, rule)


def _may_decide(word: str, known: Dict[str, str]) -> bool:
    """Whether a recorded digest is as strict as the comparator.

    `masked` wants more than equal content.
    """
    return word != "masked" or known["content"].startswith("root-masked-")


def _is_root(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"root"


def _tagged(name: str, rule: Dict[str, Any]) -> str:
    """The comparator as verdicts name it: with its version, and what tells the parameters."""
    return "%s-1:%s" % (name, rule["digest"])


def _by_mask(path: str, reference: str, _rule: Dict[str, Any]) -> _Answer:
    return ("R6", "root-masked-1") if mask_root(path) == mask_root(reference) else None


def _by_content(path: str, reference: str, rule: Dict[str, Any]) -> _Answer:
    same = kept_content(path, rule) == kept_content(reference, rule)
    return (
        ("R5", _tagged("root-content", rule) if rule.get("ignore") else "root-content-2")
        if same
        else None
    )


def _by_entries(path: str, reference: str, rule: Dict[str, Any]) -> _Answer:
    return (
        ("R5~", _tagged("root-unordered", rule))
        if is_same_unordered(path, reference, rule)
        else None
    )


def _by_numbers(path: str, reference: str, rule: Dict[str, Any]) -> _Answer:
    return ("R4", _tagged("numeric", rule)) if is_near_root(path, reference, rule) else None


def _by_statistics(path: str, reference: str, rule: Dict[str, Any]) -> _Answer:
    chance = likeness(path, reference, rule)
    named = "%s:p=%.3g" % (_tagged("histograms", rule), chance)
    return ("R3", named) if chance >= rule.get("p_value", P_VALUE) else None


def _by_text(path: str, reference: str, rule: Dict[str, Any]) -> _Answer:
    masks = rule.get("mask", [])
    same = masked_text(path, masks) == masked_text(reference, masks)
    return ("R6", _tagged("text", rule)) if same else None


def _by_text_numbers(path: str, reference: str, rule: Dict[str, Any]) -> _Answer:
    one, other = (masked_text(each, rule.get("mask", [])) for each in (path, reference))
    return ("R4", _tagged("numeric", rule)) if is_near_text(one, other, rule) else None


# what each comparator tries, the strictest first
_LADDERS = {
    "masked": [_by_mask],
    "content": [_by_mask, _by_content],
    "unordered": [_by_mask, _by_content, _by_entries],
    "numeric": [_by_mask, _by_content, _by_numbers],
    "histograms": [_by_mask, _by_content, _by_statistics],
    "text": [_by_text],
}  # type: Dict[str, List[_Step]]
_TEXT_LADDERS = {"numeric": [_by_text, _by_text_numbers]}  # type: Dict[str, List[_Step]]


def _compare_bytes(path: str, known: Dict[str, str]) -> Optional[Tuple[str, str, str]]:
    checksums = _recorded_checksums(known)
    for algorithm in ("sha256", "sha512", "sha1", "md5"):
        if algorithm in checksums:
            same = _checksum(path, algorithm) == checksums[algorithm]
            return ("IDENTICAL", "R7", algorithm) if same else ("DIFFERENT", "R2", algorithm)
    if "adler32" in checksums and not _is_short_sum_equal(path, known):
        return "DIFFERENT", "R2", "adler32"
    return None


def _is_short_sum_equal(path: str, known: Dict[str, str]) -> bool:
    """Whether adler32 agrees. It has 32 bits, so this shows no more than that no difference is seen."""
    recorded = _recorded_checksums(known).get("adler32")
    return recorded is not None and _checksum(path, "adler32") == recorded


def _recorded_checksums(known: Dict[str, str]) -> Dict[str, str]:
    if "sha256" in known:
        return {"sha256": known["sha256"]}
    return dict(_sum_of(item) for item in known.get("checksums", "").split(",") if ":" in item)


def _sum_of(item: str) -> Tuple[str, str]:
    """(algorithm, value) of a catalog's checksum.

    Some write capitals or 0x, and leave the zeros out that adler32 begins with.
    """
    algorithm, value = item.lower().split(":", 1)
    value = value[2:] if value.startswith("0x") else value
    return algorithm, value.zfill(8) if algorithm == "adler32" else value


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
    same = root_objects(path) == root_objects(reference)
    return ("EQUIVALENT", "R5", "root-content-2") if same else ("DIFFERENT", "R2", "root-content-2")


def _compare_content(path: str, recorded: str) -> Tuple[str, str, str]:
    algorithm = recorded.split(":", 1)[0]
    same = content_digest(path, algorithm) == recorded
    if algorithm == "root-masked-1" and not same:
        raise UndecidedError(
            "more than dates and ids differs, and the record has no root-content-2 digest to compare with"
        )
    return (
        ("EQUIVALENT", "R6" if algorithm == "root-masked-1" else "R5", algorithm)
        if same
        else ("DIFFERENT", "R2", algorithm)
    )


def main(arguments: List[str]) -> int:
    """`compare FILE …` prints `VERDICT LEVEL COMPARATOR`, or a sentence and answers 2.

    `digest FILE` prints content digests.
    """
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Compare the content of an output with the record."
    )
    parser.add_argument("act", choices=["compare", "digest"])
    parser.add_argument("file")
    for option in ("sha256", "content", "checksums", "reference", "comparator"):
        parser.add_argument("--" + option, default="-")
    parser.add_argument("--algorithm", default="root-content-2")
    chosen = vars(parser.parse_args(arguments))
    try:
        if chosen["act"] == "digest":
            sys.stdout.write(content_digest(chosen["file"], chosen["algorithm"]) + "\n")
            return 0
        answer = compare(chosen["file"], chosen)
    except UndecidedError as error:
        sys.stdout.write("%s\n" % error)
        return 2
    except Exception as error:
        # whatever a damaged file makes uproot raise: verify.sh shows what is printed, and no
        # traceback
        reason = "".join(traceback.format_exception_only(type(error), error)).split("\n", 1)[0]
        sys.stdout.write("the comparison failed: %s\n" % reason)
        return 2
    sys.stdout.write("%s %s %s\n" % answer)
    return 0 if answer[0] != "DIFFERENT" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
