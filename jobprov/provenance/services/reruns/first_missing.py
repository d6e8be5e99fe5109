"""Names the first thing that a rerun lacked, as a sentence, from what it printed.

Programs report this in many ways; those of shells, loaders, Python, Perl, R, git and the C library
are known here. For any other program its last line is shown.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_Sentence = Callable[[re.Match[str]], str]
_QUOTES = "'\"`\u2018\u2019"
_MOST_LINES = 20_000
_LONGEST_LINE = 400


class Missing(NamedTuple):
    """The first thing that a rerun lacked.

    Attributes:
        is_limit: it is not missing: a limit of the rerun took it away.
    """

    sentence: str
    is_limit: bool = False


class _Sign(NamedTuple):
    """The pattern of a line that names something missing, and the sentence about it."""

    pattern: re.Pattern[str]
    sentence: _Sentence
    is_limit: bool


def _sign(pattern: str, sentence: str, *, is_limit: bool = False) -> _Sign:
    """Return a sign whose sentence names the group `what` of the pattern, if there is one."""

    def tell(match: re.Match[str]) -> str:
        what = (match.groupdict().get("what") or "").strip(" :")
        if what[:1] in _QUOTES:
            what = what.strip(_QUOTES)
        return sentence.format(what=what)

    return _Sign(re.compile(pattern), tell, is_limit)


_NETWORK = "It needs the network, and a proof has none: {what}."
_SIGNS = (
    _sign(r"^missing: (?P<what>input \S+)", "Its {what} is not in the bundle."),
    _sign(r"^missing: (?P<what>program \S+)", "The {what} is not on this machine."),
    _sign(r"^missing: (?P<what>.+)", "Missing: {what}."),
    _sign(r"input (?P<what>\S+) could not be fetched", "Its input {what} could not be fetched."),
    _sign(
        r"(?P<what>\S+): cannot open shared object file", "The shared library {what} is missing."
    ),
    _sign(
        r"version [`'](?P<what>\S+?)' not found",
        "The machine's C or C++ library is older than the job's: {what} is missing.",
    ),
    _sign(
        r"ModuleNotFoundError: No module named (?P<what>\S+)",
        "The Python module {what} is missing.",
    ),
    _sign(r"ImportError: (?P<what>.+)", "A Python module cannot be imported: {what}."),
    _sign(r"Can't locate (?P<what>\S+) in @INC", "The Perl module {what} is missing."),
    _sign(r"there is no package called (?P<what>\S+)", "The R package {what} is missing."),
    _sign(
        r"(?P<what>(?:[Cc]ould not|[Cc]ouldn't) resolve host\S*.*|Temporary failure in name "
        r"resolution|Name or service not known|[Nn]etwork is unreachable|"
        r"[Nn]o address associated with hostname|nodename nor servname.*)",
        _NETWORK,
    ),
    _sign(
        r"(?P<what>\S+): (?:command )?not found$",
        "The program {what} is missing.",
    ),
    _sign(r"(?P<what>[^\s:'\"]+): bad interpreter", "The interpreter of {what} is missing."),
    _sign(r"No such file or directory: (?P<what>.+)", "The file {what} is missing."),
    _sign(
        r"(?P<what>[^\s:'\"\u2018]+)['\"\u2019]?: No such file or directory",
        "The file {what} is missing.",
    ),
    _sign(r"(?P<what>[^:]*)No such file or directory", "A file is missing: {what}."),
    _sign(r"(?P<what>[^\s:'\"]+)['\"]?: Permission denied", "{what} may not be opened here."),
    _sign(r"Permission denied: (?P<what>.+)", "{what} may not be opened here."),
    _sign(r"No space left on device", "The disk is full.", is_limit=True),
    _sign(
        r"(?P<what>MemoryError|std::bad_alloc|[Cc]annot allocate memory)",
        "It wanted more memory than a rerun may take ({what}).",
        is_limit=True,
    ),
    _sign(
        r"(?P<what>Resource temporarily unavailable|[Cc]annot fork)",
        "It wanted more processes than a rerun may start ({what}).",
        is_limit=True,
    ),
    _sign(r"(?P<what>Illegal instruction)", "This processor lacks an instruction that it needs."),
)


def first_missing(printed: Iterable[str], log: Iterable[str] = ()) -> Missing | None:
    """Return the first thing missing; None if no line names any.

    Args:
        printed: the lines of run.sh.
        log: the lines of the job itself. What run.sh found missing before it comes first.
    """
    for lines in (printed, log):
        for number, line in enumerate(lines):
            if number >= _MOST_LINES:
                break
            missing = _tell(line[:_LONGEST_LINE])
            if missing is not None:
                return missing
    return None


def missing_inputs_alone(printed: Iterable[str]) -> bool:
    """Return whether run.sh found inputs missing, and nothing else."""
    are_inputs = []
    for line in printed:
        if line.startswith("missing: "):
            are_inputs.append(line.startswith("missing: input "))
        elif "could not be fetched with the recorded digest" in line:
            are_inputs.append(True)
    return bool(are_inputs) and all(are_inputs)


def last_words(log: Sequence[str]) -> str | None:
    """Return the last line of the job that is not blank; None if there is none."""
    for line in reversed(log):
        if line.strip() and not line.startswith("run.sh: "):
            return line.strip()[:_LONGEST_LINE]
    return None


def _tell(line: str) -> Missing | None:
    for sign in _SIGNS:
        match = sign.pattern.search(line)
        if match is not None:
            return Missing(sign.sentence(match), sign.is_limit)
    return None
