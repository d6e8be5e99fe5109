"""What a `jobsub_submit` command line says about its task, and how to hand settings to its jobs.

Source: jobsub_lite's options (`-e NAME=VALUE`, `-G`, `-N`, `--dataset-definition`) and its
`--job-info SCRIPT`, which is called after a submission as `SCRIPT <cluster>.0@<schedd> "<repr of
the argument list>"`.
"""

import ast
import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from jobprov.provenance.errors import BadInputError

Form = Literal["shell", "jobsub", "condor"]
FORMS: tuple[Form, ...] = ("shell", "jobsub", "condor")
_BATCH_ID = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?@[A-Za-z0-9._-]{1,250}")
_TASK_NAMES = ("JOBPROV_TASK_ID", "POMS_TASK_ID", "POMS4_SUBMISSION_ID")
_FILE_OPTIONS = ("-f", "--tar-file-name", "--tar_file_name")
_LONGEST = 1024 * 1024  # characters of an argument list
_LONGEST_COUNT = 7  # digits


class Submission(NamedTuple):
    """A submission by its command line; None for what is not in it.

    Attributes:
        batch_id: `cluster.0@schedd`.
        variables: what `-e` sets in the jobs.
        copies: how many jobs it makes; None if a SAM dataset decides.
    """

    batch_id: str
    argv: list[str]
    variables: dict[str, str]
    experiment: str | None
    copies: int | None

    @property
    def task_id(self) -> str:
        """Return the task's id: from the variables of its jobs, else the batch id."""
        for name in _TASK_NAMES:
            if self.variables.get(name):
                return self.variables[name]
        return self.batch_id

    def named(self, name: str) -> str | None:
        """Return a variable that jobs of the task get, or None."""
        return self.variables.get(name) or None


def read_job_info(
    batch_id: str, arguments: str, environment: Mapping[str, str] | None = None
) -> Submission:
    """Return the submission that `--job-info` reports.

    `environment` is jobsub's own: `-e NAME` takes its value from there, and so do the settings that
    POMS adds to every submission (`JOBSUB_EXTRA_ENVIRONMENT`).

    Raises:
        BadInputError: these are not the arguments that jobsub gives.
    """
    if not _BATCH_ID.fullmatch(batch_id):
        example = "jobsub's is like 81234.0@schedd.example.org"
        raise BadInputError(f"{batch_id[:100]!r} is not a batch id; {example}.")
    environment = environment or {}
    argv = _with_values(_argument_list(arguments), environment)
    options = _options(argv)
    experiment: str | None = None
    settings = []
    for option, value in options:
        if option in ("-e", "--environment"):
            settings.append(value)
        elif option in ("-G", "--group"):
            experiment = value
    variables = _variables_of_jobs(settings, environment)
    return Submission(batch_id, argv, variables, experiment, _copies(argv, options))


def _with_values(argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the words, with the value of each variable that `-e NAME` took from jobsub's own.

    As fife_launch calls jobsub; later, nobody knows what the variable held.
    """
    words = list(argv)
    for place in range(1, len(words)):
        if _is_executable(argv, place):
            break
        name = words[place]
        if argv[place - 1] in ("-e", "--environment") and environment.get(name):
            words[place] = f"{name}={environment[name]}"
    return words


def _variables_of_jobs(settings: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return what jobs get by `-e NAME=VALUE`, and by `-e NAME` from jobsub's own environment."""
    variables = {}
    for setting in [*settings, *environment.get("JOBSUB_EXTRA_ENVIRONMENT", "").split(",")]:
        name, equals, value = setting.partition("=")
        if not equals:
            value = environment.get(name, "")
        if value:
            variables[name] = value
    return variables


def _is_of_dag(argv: Sequence[str], options: Sequence[tuple[str, str]]) -> bool:
    """Whether a submission runs a DAG file: with --dag, or as project.py of larbatch does."""
    program = posixpath.basename(argv[0]) if argv else ""
    return program == "jobsub_submit_dag" or any(option == "--dag" for option, _value in options)


def _copies(argv: Sequence[str], options: Sequence[tuple[str, str]]) -> int | None:
    """Return how many jobs a submission makes; None if a SAM dataset or a DAG file decides."""
    if _is_of_dag(argv, options):
        return None
    copies = 1
    for option, value in options:
        if option.startswith("--dataset"):
            return None
        if option == "-N" and value.isdecimal() and len(value) <= _LONGEST_COUNT:
            copies = int(value)
    return copies


def _argument_list(text: str) -> list[str]:
    """Return the list of words that Python's `repr` wrote."""
    try:
        argv = ast.literal_eval(text) if len(text) <= _LONGEST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        argv = None
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        message = "The second argument is not a list of words as Python writes it"
        raise BadInputError(f"{message}; `--job-info` gives one.")
    return argv


def _options(argv: Sequence[str]) -> list[tuple[str, str]]:
    """Return (option, value) pairs before the executable.

    `--name=value`, `--name value`, `-Gvalue` and `-G value`.
    """
    options: list[tuple[str, str]] = []
    for place, word in enumerate(argv):
        if _is_executable(argv, place):
            break  # the options that follow are its own
        following = argv[place + 1] if place + 1 < len(argv) else ""
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            options.append((name, value if equals else following))
        elif re.match(r"-[eGN]", word):
            options.append((word[:2], word[2:].removeprefix("=") or following))
    return options


def submit_again(
    argv: Sequence[str],
    variables: Mapping[str, str],
    *,
    process: int | None,
    section: str | None = None,
) -> str:
    """Return the command that submits one job of a recorded submission again.

    The job gets the numbers that it had in that submission, for its program may work by them:
    jobsub gives later `-e` options to the job in place of its own. With `--maxConcurrent` each job
    has a cluster of its own, so that they all are process 0; their `section` tells them apart.

    Raises:
        BadInputError: one job of it cannot be submitted alone, or a word of it was a secret.
    """
    words = list(argv)
    if any("<redacted" in word for word in words):
        raise BadInputError(
            "its jobsub_submit held a secret, which is not kept: submit it with a new one."
        )
    options = _options(words)
    if _is_of_dag(words, options):
        raise BadInputError("it was part of a DAG, which would run as a whole.")
    for option, value in options:
        if option.startswith("--dataset"):
            raise BadInputError(
                f"SAM handed out the files of {option} {value}: make a definition of its input "
                "(jobprov retry JOB --format sam) and submit that."
            )
    if _copies(words, options) != 1 and process is None:
        raise BadInputError(
            "its record names no batch job, so nobody knows which of the submission it was."
        )
    numbers = {}
    if process is not None:
        numbers = {"PROCESS": str(process), "JOBSUBJOBSECTION": section or str(process)}
    own = environment_options({**variables, **numbers})
    words = [_escaped(word) for word in _without_copies(words)]
    if words and posixpath.basename(words[0]).startswith("jobsub_submit"):
        words = words[1:]
    place = _place_of_executable(words)
    return shlex.join(["jobsub_submit", *words[:place], *own, *words[place:]])


def environment_options(variables: Mapping[str, str]) -> list[str]:
    """Return the words `-e NAME=VALUE` with which jobsub_submit gives jobs variables.

    Raises:
        BadInputError: a value has a semicolon, with which jobsub parts variables from each other.
    """
    words = []
    for name, value in variables.items():
        if ";" in value:
            raise BadInputError(
                f"{name}={value}: jobsub_submit -e takes no value with a semicolon. Put it into a "
                "script and name that."
            )
        words += ["-e", _escaped(f"{name}={value}")]
    return words


def _escaped(word: str) -> str:
    r"""Return a word that jobsub_submit reads as the given one: it takes \x for x, and quotes away.

    Source: `backslash_escape_layer` of jobsub_lite.
    """
    return re.sub(r"[\\']", r"\\\g<0>", word)


def _place_of_executable(argv: Sequence[str]) -> int:
    """Return where the executable is among the words; the options that follow are its own."""
    for place in range(len(argv)):
        if _is_executable(argv, place):
            return place
    raise BadInputError("its jobsub_submit names no executable (file://…).")


def _is_executable(argv: Sequence[str], place: int) -> bool:
    is_value = place > 0 and argv[place - 1] in _FILE_OPTIONS
    return argv[place].startswith("file://") and not is_value


def _without_copies(argv: Sequence[str]) -> list[str]:
    """Return the words without `-N COUNT`, before the executable."""
    place = _place_of_executable(argv)
    kept: list[str] = []
    is_count = False
    for word in argv[:place]:
        if is_count:
            is_count = False
        elif word == "-N":
            is_count = True
        elif not re.fullmatch(r"-N=?\d+", word):
            kept.append(word)
    return [*kept, *argv[place:]]


def settings_lines(
    variables: Mapping[str, str],
    form: Form,
    ticket_file: str | None = None,
    hook_files: Sequence[str] = (),
) -> list[str]:
    """Return lines that give jobs variables, the ticket's file and the hook.

    They are for a shell, jobsub_submit or a submit file. `hook_files` are the start script and the
    hook, in this order.
    """
    files = [*hook_files, *([ticket_file] if ticket_file else [])]
    if form == "shell":
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        if hook_files:
            lines.append(f"JOBPROV_RUN={shlex.quote(f'sh {shlex.quote(hook_files[0])} --')}")
        return lines
    if form == "jobsub":
        options = environment_options(variables)
        for file in files:
            options += ["-f", f"dropbox://{file}"]
        return [shlex.join(options)]
    quoted = " ".join(f"{name}={_condor(value)}" for name, value in variables.items())
    lines = [f'environment = "{quoted}"']
    if hook_files:
        lines.append(f"executable = {hook_files[0]}")
        lines.append("arguments = -- YOUR_COMMAND")
        files = files[1:]  # HTCondor brings the executable itself
    if files:
        lines.append(f"transfer_input_files = {', '.join(files)}")
    return lines


def _condor(value: str) -> str:
    """Return a value in the new form of HTCondor's `environment` (condor_submit).

    Quotes of both kinds are doubled.
    """
    doubled = value.replace('"', '""').replace("'", "''")
    if not value or re.search(r"[\s'\"]", value):
        return f"'{doubled}'"
    return doubled
