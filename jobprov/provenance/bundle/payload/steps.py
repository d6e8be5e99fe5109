"""The steps of a job that a rerun replays, with their exit codes, folders and variables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from jobprov.provenance.bundle.fields import RecordPart, text
from jobprov.provenance.bundle.payload.odd_names import exact_arguments

NO_EXIT_CODE = "-"
_SIGNALLED, _CODES = 128, 256
_SIGNALS = range(-64, -1)


@dataclass(frozen=True)
class Surroundings:
    """What a step has otherwise than the job: its folder and variables.

    A job script goes to other folders and sets up products between its steps.

    Attributes:
        folder: absolute; empty if it is the job's.
        variables: those with other values, by name; None for one that was unset.
    """

    folder: str = ""
    variables: Mapping[str, str | None] = field(default_factory=dict)

    def after(self, step: RecordPart) -> "Surroundings":
        """Those of a step that comes after one with these."""
        variables = dict(self.variables)
        for name, value in step.part("variables").fields.items():
            variables[name] = text(value)
        for name in step.texts("variables_unset"):
            variables[name] = None
        return Surroundings(folder=step.text("working_directory"), variables=variables)

    def __bool__(self) -> bool:
        """Whether anything is other than in the job."""
        return bool(self.folder or self.variables)


@dataclass(frozen=True)
class Step:
    """One program to replay.

    Attributes:
        expected: the exit code as a shell sees it; `-` if none was recorded.
        stdin: digest of what the step itself read from standard input; empty if not recorded.
        exact_argv: `argv` with the original bytes where these are not UTF-8.
        surroundings: its folder and variables, where they are not the job's.
    """

    name: str
    argv: list[str]
    expected: str
    stdin: str = ""
    exact_argv: tuple[str, ...] = ()
    surroundings: Surroundings = Surroundings()

    @property
    def program(self) -> str:
        """The program, as the job named it."""
        return self.exact_argv[0]


def payload_steps(record: RecordPart) -> list[Step]:
    """The steps that a rerun replays: those whose role is payload, else the command itself."""
    code_of_job = _exit_code(record.part("exit"), "code")
    steps: list[Step] = []
    for step, surroundings in _steps_with_surroundings(record):
        if step.text("role") == "payload" and step.texts("argv"):
            steps.append(_step_of(step, len(steps), surroundings))
    argv = record.part("command").texts("argv")
    if not steps and argv:
        return [Step("job", argv, code_of_job, exact_argv=tuple(argv))]
    if len(steps) == 1 and steps[0].expected == NO_EXIT_CODE:
        # The only step ended as the job did
        return [replace(steps[0], expected=code_of_job)]
    return steps


def _steps_with_surroundings(record: RecordPart) -> Iterator[tuple[RecordPart, Surroundings]]:
    """Yield the steps that a job script began itself, each with its surroundings."""
    surroundings = Surroundings()
    for step in record.part("command").parts("steps"):
        if step.text("role") == "program":
            continue  # a program that was only seen
        surroundings = surroundings.after(step)
        yield step, surroundings


def _step_of(step: RecordPart, index: int, surroundings: Surroundings) -> Step:
    return Step(
        name=step.text("name") or f"step-{index}",
        argv=step.texts("argv"),
        expected=_exit_code(step, "exit_code"),
        stdin=step.digest("stdin_sha256"),
        exact_argv=tuple(exact_arguments(step)),
        surroundings=surroundings,
    )


def _exit_code(ending: RecordPart, field_name: str) -> str:
    """The exit code of a job or step as a shell sees it, 128 and more for signals."""
    signal = ending.number("signal")
    if signal:
        return str(_SIGNALLED + signal)
    code = ending.number(field_name)
    if code is None:
        return NO_EXIT_CODE
    return _as_shell_sees(code)


def _as_shell_sees(code: int) -> str:
    """A recorded exit code modulo 256.

    Some recorders write other numbers: a multiple of 256 is the status of `system()` and `wait()`;
    -2 to -64 are signals, as in Python's subprocess.
    """
    if code in _SIGNALS:
        return str(_SIGNALLED - code)
    if code == 0 or code % _CODES != 0:
        return str(code % _CODES)
    code_in_status = code // _CODES
    if 0 < code_in_status < _CODES:
        return str(code_in_status)
    return NO_EXIT_CODE
