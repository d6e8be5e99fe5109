"""The command line of art, read as art reads it.

Every option has a name, some a letter. `--name=value`, `--name value`, `-nvalue` and `-n value`
mean the same; names are not abbreviated. What belongs to no option is a source file. A value may
begin with `-` where it is no option (`-n -1`).

Source: art's options handlers, `run_art`; Boost.Program_options' `cmdline` (default style, without
guessing) as facts of behaviour.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from jobprov.provenance.fhicl.running.errors import NotKnownError, RefusedError

FLAG = "flag"
TEXT = "text"
TEXTS = "texts"
SWITCH = "switch"  # true or false
INTEGER = "integer"
COUNT = "count"


class _Option(NamedTuple):
    """One option.

    Attributes:
        kind: FLAG ... COUNT.
        implied: its value where it is given without one; None where it must have one.
        is_greedy: whether it takes all words up to the next option.
    """

    name: str
    kind: str
    letter: str = ""
    implied: str | None = None
    is_greedy: bool = False

    @property
    def least_values(self) -> int:
        return 0 if self.kind == FLAG or self.implied is not None else 1

    @property
    def most_values(self) -> float:
        if self.kind == FLAG:
            return 0
        return float("inf") if self.is_greedy else 1


_OPTIONS = (
    _Option("help", FLAG, "h"),
    _Option("version", FLAG),
    _Option("config", TEXT, "c"),
    _Option("process-name", TEXT),
    _Option("prune-config", SWITCH),
    _Option("report-unused", SWITCH),
    _Option("print-available", TEXT),
    _Option("print-available-modules", FLAG),
    _Option("print-available-services", FLAG),
    _Option("print-description", TEXTS, is_greedy=True),
    _Option("status-bar", FLAG),
    _Option("source", TEXTS, "s"),
    _Option("source-list", TEXT, "S"),
    _Option("estart", TEXT, "e"),
    _Option("nevts", INTEGER, "n"),
    _Option("nskip", COUNT),
    _Option("TFileName", TEXT, "T"),
    _Option("tmpdir", TEXT),
    _Option("tmpDir", TEXT),
    _Option("output", TEXTS, "o"),
    _Option("no-output", FLAG),
    _Option("parallelism", INTEGER, "j"),
    _Option("nschedules", INTEGER),
    _Option("nthreads", INTEGER),
    _Option("default-exceptions", FLAG),
    _Option("rethrow-default", FLAG),
    _Option("rethrow-all", FLAG),
    _Option("errorOnMissingConsumes", SWITCH, implied="true"),
    _Option("errorOnSIGINT", SWITCH, implied="true"),
    _Option("mt-diagnostics", TEXT, "M"),
    _Option("trace", FLAG),
    _Option("no-trace", FLAG),
    _Option("timing", FLAG),
    _Option("timing-db", TEXT),
    _Option("no-timing", FLAG),
    _Option("memcheck-db", TEXT),
    _Option("no-memcheck", FLAG),
    _Option("data-dependency-graph", TEXT, "g"),
    _Option("validate-config", TEXT),
    _Option("config-summary", TEXT, implied="brief"),
    _Option("config-out", TEXT),
    _Option("debug-config", TEXT),
    _Option("annotate", FLAG),
    _Option("prefix-annotate", FLAG),
    _Option("sam-web-uri", TEXT),
    _Option("sam-process-id", TEXT),
    _Option("sam-application-family", TEXT),
    _Option("sam-app-family", TEXT),
    _Option("sam-application-version", TEXT),
    _Option("sam-app-version", TEXT),
    _Option("sam-group", TEXT),
    _Option("sam-file-type", TEXT),
    _Option("sam-data-tier", TEXTS),
    _Option("sam-run-type", TEXT),
    _Option("sam-stream-name", TEXTS),
    _Option("sam-inherit-metadata", FLAG),
    _Option("sam-inherit-file-type", FLAG),
    _Option("sam-inherit-run-type", FLAG),
)
_BY_NAME = {option.name: option for option in _OPTIONS}
_BY_LETTER = {option.letter: option for option in _OPTIONS if option.letter}
_TRUE, _FALSE = ("", "on", "yes", "1", "true"), ("off", "no", "0", "false")
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_LARGEST_INTEGER, _LARGEST_COUNT = (1 << 31) - 1, (1 << 64) - 1
# Options that art allows once
_ALTERNATIVES = (
    ("trace", "no-trace"),
    ("timing", "no-timing"),
    ("timing-db", "no-timing"),
    ("memcheck-db", "no-memcheck"),
    ("validate-config", "debug-config", "config-out", "config-summary"),
    ("annotate", "prefix-annotate"),
    ("rethrow-all", "rethrow-default"),
    ("parallelism", "nthreads"),
    ("parallelism", "nschedules"),
)
_ANNOTATE = ("annotate", "prefix-annotate")
_WRITE_CONFIGURATION = ("validate-config", "debug-config", "config-out")
_LEAST_NUMBERS = (("nthreads", 0), ("nschedules", 1))
_ONLY_PRINTS = (
    "help",
    "print-available",
    "print-available-modules",
    "print-available-services",
    "print-description",
    "version",
)
_CHECKED = frozenset(
    (
        *_ONLY_PRINTS,
        "status-bar",
        *chain.from_iterable(_ALTERNATIVES),
        *_ANNOTATE,
        *(name for name, _ in _LEAST_NUMBERS),
    )
)
"""The options that art may refuse, by themselves, by their value or beside others: few have any."""


REPORTS_UNUSED = {"art": True, "lar": True, "mu2e": False}
"""Programs that are art's `artapp`, and whether each reports unused modules by itself."""


def option_word(name: str) -> str:
    """Return an option as people write it: `-n`, or `--nskip` where it has no letter."""
    letter = _BY_NAME[name].letter
    return f"-{letter}" if letter else f"--{name}"


class ArtOptions:
    """The options of one command line.

    Attributes:
        program: its name, one of `REPORTS_UNUSED`.
        values: given values by name of the option.
    """

    def __init__(self, program: str, values: Mapping[str, Sequence[str]]) -> None:
        self.program = program
        self.values = values

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def has_any(self, names: Iterable[str]) -> bool:
        """Return whether one of some options was given."""
        return any(name in self.values for name in names)

    def text(self, name: str) -> str | None:
        """Return the value of an option; None where it was not given."""
        given = self.values.get(name)
        return given[0] if given else None

    def texts(self, name: str) -> list[str]:
        """Return all values of an option that may be repeated."""
        return list(self.values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """Return whether an option says true; None where it was not given."""
        given = self.text(name)
        return None if given is None else given.lower() in _TRUE

    def number(self, name: str) -> int | None:
        """Return the value of an option as a number; None where it was not given."""
        given = self.text(name)
        return None if given is None else int(given)


class _Given(NamedTuple):
    """An option, or None for a word that belongs to none, with its values."""

    option: _Option | None
    values: list[str]
    is_closed: bool = False
    """Whether no option may take it: it stands behind `--`."""


def read_command_line(argv: Sequence[str]) -> ArtOptions:
    """Return the options of a command line.

    Raises:
        NotKnownError: its program is not known to be art's.
        RefusedError: art refuses it, or only prints something and ends.
    """
    program = posixpath.basename(argv[0]) if argv else ""
    if program not in REPORTS_UNUSED:
        known = ", ".join(REPORTS_UNUSED)
        raise NotKnownError(
            f"What {program[:60] or 'the program'} makes of a configuration is not known, "
            f"only what {known} do."
        )
    values: dict[str, list[str]] = {}
    for given in _with_loose_values(list(_split(list(argv[1:])))):
        option = _BY_NAME["source"] if given.option is None else given.option
        _add(values, option, given.values)
    options = ArtOptions(program, values)
    _check(options)
    return options


def _split(words: list[str]) -> Iterator[_Given]:
    """Yield the options, with the values that they must have, and the words between them."""
    while words:
        word = words.pop(0)
        if word == "--":
            for rest in words:
                yield _Given(None, [rest], is_closed=True)
            return
        if len(word) > 2 and word.startswith("--"):  # noqa: PLR2004 - more than the dashes
            yield _long_option(word, words)
        elif len(word) > 1 and word.startswith("-"):
            yield from _short_options(word, words)
        else:
            yield _Given(None, [word])


def _long_option(word: str, following: list[str]) -> _Given:
    name, equals, value = word[2:].partition("=")
    if equals and not value:
        raise RefusedError(f"art refuses this command line: --{name}= has no value.")
    option = _BY_NAME.get(name)
    if option is None:
        raise RefusedError(f"art refuses this command line: it has no option --{name}.")
    return _with_values(option, [value] if equals else [], following)


def _short_options(word: str, following: list[str]) -> Iterator[_Given]:
    """Yield the options of `-x`, `-xVALUE` and, of those without values, `-xyz`."""
    letters = word[1:]
    while letters:
        option = _BY_LETTER.get(letters[0])
        if option is None:
            raise RefusedError(f"art refuses this command line: it has no option -{letters[0]}.")
        rest = letters[1:]
        if option.kind != FLAG:
            yield _with_values(option, [rest] if rest else [], following)
            return
        yield _Given(option, [])
        letters = rest


def _with_values(option: _Option, values: list[str], following: list[str]) -> _Given:
    """Return an option with the values that it must have, taken from the words that follow."""
    if values and option.kind == FLAG:
        raise RefusedError(f"art refuses this command line: --{option.name} takes no value.")
    while len(values) < option.least_values:
        if not following or (following[0][:1] == "-" and following[0][1:] in _BY_LETTER):
            raise RefusedError(f"art refuses this command line: --{option.name} has no value.")
        values.append(following.pop(0))
    return _Given(option, values)


def _with_loose_values(given: list[_Given]) -> Iterator[_Given]:
    """Yield the options with the words that they may take besides."""
    place = 0
    while place < len(given):
        option, values, _ = given[place]
        place += 1
        while option is not None and len(values) < option.most_values and _may_take(option):
            if place == len(given) or given[place].option is not None or given[place].is_closed:
                break
            values += given[place].values
            place += 1
        yield _Given(option, values)


def _may_take(option: _Option) -> bool:
    return option.least_values < option.most_values


def _add(values: dict[str, list[str]], option: _Option, given: list[str]) -> None:
    """Add what one place of the command line gives to an option."""
    if not given and option.kind != FLAG:
        given = [option.implied or ""]
    if option.name in values and option.kind != TEXTS:
        raise RefusedError(f"art refuses this command line: --{option.name} stands there twice.")
    for value in given:
        if not _is_valid(option.kind, value):
            raise RefusedError(
                f"art refuses this command line: --{option.name} cannot be {value[:40]}."
            )
    values.setdefault(option.name, []).extend(given)


def _is_valid(kind: str, value: str) -> bool:
    if kind == SWITCH:
        return value.lower() in _TRUE + _FALSE
    if kind in (INTEGER, COUNT):
        largest = _LARGEST_INTEGER if kind == INTEGER else _LARGEST_COUNT
        return bool(_INTEGER.fullmatch(value)) and len(value) <= 20 and abs(int(value)) <= largest  # noqa: PLR2004 - digits of 64 bits
    return True


def _check(options: ArtOptions) -> None:
    """Check what art checks before it reads the configuration.

    Raises:
        RefusedError: it ends there.
    """
    if not _CHECKED.isdisjoint(options.values):
        _check_single(options)
        _check_together(options)
    if "config" not in options:
        raise RefusedError("The command line names no configuration (-c).")


def _check_single(options: ArtOptions) -> None:
    """Check the options that art refuses, whatever stands beside them, or for their value."""
    for name in _ONLY_PRINTS:
        if name in options:
            raise RefusedError(f"With --{name} art prints and runs nothing.")
    if "status-bar" in options:
        raise RefusedError("art refuses --status-bar where it prints no list of plugins.")
    for name, least in _LEAST_NUMBERS:
        number = options.number(name)
        if number is not None and number < least:
            raise RefusedError(f"art refuses --{name} below {least}.")


def _check_together(options: ArtOptions) -> None:
    """Check the options of which art allows one, or which it allows beside others alone."""
    for alternatives in _ALTERNATIVES:
        given = [f"--{name}" for name in alternatives if name in options]
        if len(given) > 1:
            raise RefusedError(f"art refuses {' with '.join(given)}.")
    if options.has_any(_ANNOTATE) and not options.has_any(_WRITE_CONFIGURATION):
        raise RefusedError("art refuses --annotate where it writes no configuration.")
