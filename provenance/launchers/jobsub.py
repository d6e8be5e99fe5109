"""What a `jobsub_submit` command line says of the task that it submits, and how to hand a task's settings to its jobs.

Source: jobsub_lite's options (`-e NAME=VALUE`, `-G`, `-N`, `--dataset-definition`) and its
`--job-info SCRIPT`, which is called after a submission as `SCRIPT <cluster>.0@<schedd> "<repr of
the argument list>"`.
"""

import ast
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from jobprov.provenance.errors import BadInputError

Form = Literal["shell", "jobsub", "condor"]
FORMS: tuple[Form, ...] = ("shell", "jobsub", "condor")
_BATCH_ID = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?@[A-Za-z0-9._-]{1,250}")
_TASK_NAMES = ("JOBPROV_TASK_ID", "POMS_TASK_ID", "POMS4_SUBMISSION_ID")
_LONGEST = 1024 * 1024  # characters of an argument list


class Submission(NamedTuple):
    """A submission as its command line tells it; None where it does not.

    Attributes:
        batch_id: `cluster.0@schedd`.
        variables: what `-e` sets in the jobs.
        copies: how many jobs it makes; None where a SAM dataset decides.
    """

    batch_id: str
    argv: list[str]
    variables: dict[str, str]
    experiment: str | None
    copies: int | None

    @property
    def task_id(self) -> str:
        """Return the task's id: what its jobs are told, else the batch id."""
        return next(
            (self.variables[name] for name in _TASK_NAMES if self.variables.get(name)),
            self.batch_id,
        )

    def named(self, name: str) -> str | None:
        """Return a variable that jobs of the task get, or None."""
        return self.variables.get(name) or None


def read_job_info(batch_id: str, told: str) -> Submission:
    """Return what `--job-info` tells of a submission.

    Raises:
        BadInputError: these are not the two arguments that jobsub gives.
    """
    if not _BATCH_ID.fullmatch(batch_id):
        raise BadInputError(
            f"{batch_id[:100]!r} is no batch id; jobsub's is like 81234.0@schedd.example.org."
        )
    try:
        argv = ast.literal_eval(told) if len(told) <= _LONGEST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        argv = None
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise BadInputError(
            "The second argument is no list of words as Python writes it; `--job-info` gives one."
        )
    options = _options(argv)
    variables = dict(
        word.split("=", 1)
        for name, word in options
        if name in ("-e", "--environment") and "=" in word
    )
    groups = [word for name, word in options if name in ("-G", "--group")]
    counts = [word for name, word in options if name == "-N" and word.isdecimal() and len(word) < 8]  # noqa: PLR2004
    is_dataset = any(name.startswith("--dataset") for name, _ in options)
    copies = None if is_dataset else int(counts[-1]) if counts else 1
    return Submission(batch_id, argv, variables, groups[-1] if groups else None, copies)


def _options(argv: Sequence[str]) -> list[tuple[str, str]]:
    """Return (option, value) pairs before the executable.

    `--name=value`, `--name value`, `-Gvalue` and `-G value`.
    """
    found: list[tuple[str, str]] = []
    for place, word in enumerate(argv):
        if word.startswith(("file://", "dropbox://")) and argv[place - 1] not in (
            "-f",
            "--input-file",
            "--tar-file-name",
        ):
            break  # what follows are the executable's own
        following = argv[place + 1] if place + 1 < len(argv) else ""
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found.append((name, value if equals else following))
        elif re.match(r"-[eGN]", word):
            found.append((word[:2], word[2:].removeprefix("=") or following))
    return found


def settings_lines(
    variables: Mapping[str, str], form: Form, ticket_file: str | None = None
) -> list[str]:
    """Return lines that hand variables, and the file with the ticket, to jobs.

    For a shell, jobsub_submit or a submit file.
    """
    if form == "shell":
        return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    if form == "jobsub":
        words = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        words += ["-f", f"dropbox://{ticket_file}"] if ticket_file else []
        return [shlex.join(words)]
    quoted = " ".join(f"{name}={_condor(value)}" for name, value in variables.items())
    return [
        f'environment = "{quoted}"',
        *([f"transfer_input_files = {ticket_file}"] if ticket_file else []),
    ]


def _condor(value: str) -> str:
    """Return a value in the new form of HTCondor's `environment` (condor_submit).

    Quotes of both kinds are doubled.
    """
    doubled = value.replace('"', '""').replace("'", "''")
    return f"'{doubled}'" if re.search(r"[\s'\"]", value) or not value else doubled
