"""The error tree of the package.

ProvenanceError
├── BadInputError        what a client sent is wrong: carries {field path: [messages]}
│   └── RecordError      a job record that cannot be taken
├── NotFoundError        the thing asked for is not recorded
├── AmbiguousError       the name alone does not say which one; carries the choices
├── ConflictError        another final record stands where this one would go
├── ForbiddenError       the token does not allow this
├── LimitError           the answer would pass a limit, which it names
├── SoftwareError        a git repository or ref could not be read
├── BundleError          a bundle cannot be built or read
└── UnreachableError     a service, database or storage does not answer

`provenance.fhicl.FhiclError` is a ProvenanceError too. `app/errors.py` maps each to one HTTP
status, once. Every error composes one sentence: what failed, where, what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self


class ProvenanceError(Exception):
    """Root of every error that this package raises on purpose."""


class BadInputError(ProvenanceError):
    """What a client sent is wrong.

    Attributes:
        fields: messages by field path (`inputs[3].name`), as the HTTP answer shows them under
            `errors`.
    """

    def __init__(self, message: str, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(message)
        self.fields = {path: list(messages) for path, messages in (fields or {}).items()}

    @classmethod
    def of_field(cls, field: str, problem: str, short: str | None = None) -> Self:
        """Return the error about one field; `problem` has no capital letter and no full stop.

        `short` is what the field itself is marked with; the problem by default.
        """
        return cls(f"{field}: {problem}.", {field: [short or problem]})

    @classmethod
    def of_file(cls, path: Path, problem: Exception) -> Self:
        """Return the error about a file of settings that cannot be read."""
        reason = str(problem)
        if isinstance(problem, OSError) and problem.strerror:
            reason = problem.strerror  # str() would name the file once more
        return cls(f"{path} cannot be read: {reason}.", {str(path): [reason]})


def check_choice(field: str, value: str | None, choices: Iterable[str]) -> None:
    """Check that a field has one of the values that it may have; None where it was not given.

    Raises:
        BadInputError: it has another one.
    """
    known = list(choices)
    if value is not None and value not in known:
        raise BadInputError.of_field(field, f"one of {', '.join(known)}")


class RecordError(BadInputError):
    """A job record that cannot be taken; nothing of it was stored."""


class NotFoundError(ProvenanceError):
    """The thing asked for is not recorded.

    Attributes:
        nearest: names like the one asked for, best first.
        known_in: where the very name is known, as (experiment, namespace) pairs.
    """

    def __init__(
        self, message: str, nearest: Sequence[str] = (), *, known_in: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message)
        self.nearest = list(nearest)
        self.known_in = list(known_in)


class AmbiguousError(ProvenanceError):
    """A name has several meanings, and the question must say which one.

    Attributes:
        choices: which there are, as (experiment, namespace) pairs.
        questions: what to put into the question for each of them, by parameter; `experiment` alone
            where nothing else is said.
    """

    def __init__(
        self,
        message: str,
        choices: Sequence[tuple[str, str]],
        questions: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.choices = list(choices)
        self.questions = [dict(one) for one in questions] or [
            {"experiment": choice[0]} for choice in choices
        ]


class ConflictError(ProvenanceError):
    """Another final thing stands where this one would go; nothing was changed."""


class ForbiddenError(ProvenanceError):
    """The token does not allow this."""


class LimitError(ProvenanceError):
    """The answer would pass a limit.

    Attributes:
        limit: the limit's value; the message names it.
    """

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class SoftwareError(ProvenanceError):
    """A git repository or ref could not be read."""


class BundleError(ProvenanceError):
    """A bundle cannot be built or read."""


class UnreachableError(ProvenanceError):
    """A service, database or storage does not answer."""
