"""The command in a bundle: `command/`, the payload steps, and the programs that they need.

run.sh replays the payload steps.
"""

import os.path
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobprov.provenance.bundle.fields import digest, mapping, number, rows, text, texts
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.payload.odd_words import exact_words
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, quote

# The shell's own codes for a program that could not be started
_NOT_FOUND = frozenset({"126", "127"})
_OUR_OWN = frozenset(
    [
        "elsewhere",
        "exit-codes.txt",
        "git",
        "home",
        "in-part.txt",
        "input",
        "job.txt",
        "laid-out.txt",
        "root",
        "run.log",
        "src",
        "stdin",
        "tmp",
        "work",
    ]
)
"""Names that run.sh itself makes in OUT."""
_SIGNALLED, _CODES = 128, 256
_SIGNALS = range(-64, -1)
_LIMITS = (
    ("s", "stack_bytes", 1024),
    ("t", "cpu_seconds", 1),
    ("v", "address_space_bytes", 1024),
)  # -f has another unit in bash
_KILLED = "137"


@dataclass(frozen=True)
class Step:
    """One program to replay.

    Attributes:
        expected: the exit code that a shell sees, `-` where none was recorded.
        stdin: digest of what it read from standard input, where that is told of the step itself;
            empty for nothing.
        words: the arguments as they were, where they are no UTF-8.
    """

    name: str
    argv: list[str]
    expected: str
    stdin: str = ""
    words: tuple[str, ...] = ()


def payload_steps(record: Mapping[str, Any]) -> list[Step]:
    """The steps that a rerun replays: those whose role is payload, else the command itself."""
    command, outcome = mapping(record.get("command")), mapping(record.get("exit"))
    chosen = [
        step
        for step in rows(command.get("steps"))
        if step.get("role") == "payload" and texts(step.get("argv"))
    ]
    steps = [
        Step(
            text(step.get("name")) or f"step-{index}",
            texts(step.get("argv")),
            _code(step, "exit_code"),
            digest(step.get("stdin_sha256")),
            tuple(exact_words(step)),
        )
        for index, step in enumerate(chosen)
    ]
    if not steps and texts(command.get("argv")):
        argv = texts(command.get("argv"))
        steps = [Step("job", argv, _code(outcome, "code"), words=tuple(argv))]
    if len(steps) == 1 and steps[0].expected == "-":
        steps = [replace(steps[0], expected=_code(outcome, "code"))]
    return steps


def _code(outcome: Mapping[str, Any], field: str) -> str:
    signal, code = number(outcome.get("signal")), number(outcome.get(field))
    if signal:
        return str(_SIGNALLED + signal)
    return "-" if code is None else _shown(code)


def _shown(code: int) -> str:
    """What a shell sees of a code as a program told it: codes of its own come out modulo 256.

    Multiples of 256 are the status that `system()` and `wait()` hand on; -2 to -64 signals, as
    Python's subprocess tells them.
    """
    if code in _SIGNALS:
        return str(_SIGNALLED - code)
    if code and code % _CODES == 0:
        return str(code // _CODES) if 0 < code // _CODES < _CODES else "-"
    return str(code % _CODES)


def add_command(payload: Payload) -> None:
    """Write `command/`.

    This comes last, so that arguments are rewritten for everything that is laid out.
    """
    steps = payload_steps(payload.record)
    payload.write("command/argv.txt", _argv_text(steps))
    payload.write(
        "command/cwd.txt", f"{percent(text(payload.command.get('working_directory')))}\n".encode()
    )
    payload.shell("command/steps.sh", [*_settings(payload), *_step_lines(payload, steps)])
    payload.shell("command/programs.sh", _program_lines(payload, steps))
    if not steps:
        payload.needs.add(1, "code", "command", "the command of the job was not recorded")
    _link_beside(payload)
    payload.shell(
        "command/layout.sh",
        payload.layout
        + [f"link {quote(target)} {place.word()}" for target, place in payload.links],
    )


def _link_beside(payload: Payload) -> None:
    """Let scripts find by `../NAME` what the job used beside its working directory.

    Arguments are rewritten, scripts are not.

    In a copy of a checkout the folders lie as they did; further up than OUT nothing can lie.
    """
    if not payload.places.working_directory or any(
        line.startswith("work_inside ") for line in payload.layout
    ):
        return
    files = [
        file for name in ("inputs", "outputs", "scripts") for file in rows(payload.record.get(name))
    ]
    names = {
        posixpath.normpath(text(file.get("path"))).split("/")[:2][-1]
        for file in files
        if _is_beside(file)
    }
    for name in sorted(names.difference(_OUR_OWN)):
        if name.startswith("stdin-"):
            continue  # run.sh's own, too
        beside = payload.places.absolute(f"../{name}")
        place = payload.places.locate(beside) or Place("elsewhere", beside)
        payload.links.append((f"{place.variable}{place.rest}", Place("out", f"/{name}")))


def _is_beside(file: Mapping[str, Any]) -> bool:
    parts = posixpath.normpath(text(file.get("path"))).split("/")
    return len(parts) > 1 and parts[0] == ".." and parts[1] != ".."


def _argv_text(steps: list[Step]) -> bytes:
    """One argument a line, percent-encoded; an empty line between steps."""
    return "\n".join(
        "".join(f"{percent(argument)}\n" for argument in step.words) for step in steps
    ).encode("utf-8", "replace")


def _settings(payload: Payload) -> list[str]:
    environment = mapping(payload.record.get("environment"))
    umask = text(environment.get("umask"))
    lines = []
    if umask and len(umask) <= 4 and set(umask) <= set("01234567"):  # noqa: PLR2004
        lines.append(f"umask {umask}")
    limits = mapping(environment.get("limits"))
    is_killed = any(step.expected == _KILLED for step in payload_steps(payload.record))
    for option, field, unit in _LIMITS:
        if (value := number(limits.get(field))) is not None and value > 0:
            # a job that ran into its limit must run into it again: at the soft one the kernel
            # warns, at the hard one it kills
            lines.append(
                f"ulimit {'' if is_killed else '-S '}-{option} {value // unit} 2>/dev/null || :"
            )
    return lines


def _step_lines(payload: Payload, steps: list[Step]) -> list[str]:
    """The steps, and before each what it reads.

    Its own standard input where steps have one, else all that of the job.
    """
    if not any(step.stdin for step in steps):
        return [
            *_standard_input(payload, "stdin", _of_job(payload)),
            *(_step_line(payload, step) for step in steps),
        ]
    lines: list[str] = []
    for index, step in enumerate(steps, 1):
        lines += _standard_input(payload, f"stdin-{index}", step.stdin) or ["stdin=/dev/null"]
        lines.append(_step_line(payload, step))
    return lines


def _of_job(payload: Payload) -> str:
    return digest(payload.command.get("stdin_sha256"))


def _standard_input(payload: Payload, name: str, sha256: str) -> list[str]:
    """Write what is read from standard input, else have run.sh look for it.

    The line that names it to run.sh.
    """
    if not sha256:
        return []
    payload.write(f"command/{name}.sha256", f"{sha256}\n".encode())
    if payload.has(sha256) and payload.level >= 2:  # noqa: PLR2004 - L2
        payload.keep(f"command/{name}", sha256)
        # of the job's own, run.sh knows the name
        return [] if name == "stdin" else [f'stdin="$here/${{job_folder}}command/{name}"']
    payload.needs.add(
        2, "input", "standard input", "what the job read from standard input", digest=sha256
    )
    place = Place("out", f"/{name}")
    payload.lay_out("input", "standard input", sha256, "-", "", place)
    return [f"stdin={place.word()}"]


def _step_line(payload: Payload, step: Step) -> str:
    program, *arguments = step.words
    words = [
        _program_word(payload, program),
        *(payload.places.rewrite(argument) for argument in arguments),
    ]
    if "=" in program or program.startswith("-"):
        # env would take it for a variable or an option
        words = ["sh", "-c", quote('exec "$@"'), "sh", *words]
    return " ".join(["step", quote(step.name), step.expected, *words])


def _program_word(payload: Payload, program: str) -> str:
    """The program where the bundle lays it out.

    One that only lay in a mapped folder (a venv in a checkout) stays where it was.
    """
    return payload.places.rewrite(program) if not _is_outside(payload, program) else quote(program)


def _is_outside(payload: Payload, program: str) -> bool:
    place = _place_of(payload, program)
    return place not in payload.laid_out and not _is_provided(payload, place)


def _place_of(payload: Payload, program: str) -> Place | None:
    if "/" not in program:
        return _place_on_path(payload, program)
    whole = payload.places.absolute(program)
    return payload.places.locate(whole) if whole.startswith("/") else payload.places.settle(program)


def _place_on_path(payload: Payload, program: str) -> Place | None:
    """Where the recorded PATH finds a program that the bundle lays out.

    Such a program may lie in the `bin` of a checkout. None stands for an installed one.
    """
    path = _recorded_path(payload)
    folders = path.split(":") if path else []
    # of other folders a single file may be laid out, which the path of a rerun does not lead to
    mapped = [
        folder or "."
        for folder in folders
        if not folder.startswith("/") or payload.places.locate(folder)
    ]
    candidates = [_place_of(payload, f"{folder}/{program}") for folder in mapped]
    return next(
        (
            place
            for place in candidates
            if place in payload.laid_out or _is_provided(payload, place)
        ),
        None,
    )


def _is_provided(payload: Payload, place: Place | None) -> bool:
    return place is not None and payload.provides(place)


def _recorded_path(payload: Payload) -> str:
    return text(mapping(mapping(payload.record.get("environment")).get("variables")).get("PATH"))


def _scripts_that_ran(payload: Payload, steps: list[Step]) -> set[Place]:
    """Every recorded script, and every program of a step, that has an interpreter."""
    paths = [
        text(script.get("path")) or text(script.get("name"))
        for script in rows(payload.record.get("scripts"))
    ]
    ran = {_place_of(payload, f"./{path}" if "/" not in path else path) for path in paths}
    ran |= {_place_of(payload, step.words[0]) for step in steps}
    return {place for place in ran if place is not None and place in payload.shebangs}


def _program_lines(payload: Payload, steps: list[Step]) -> list[str]:
    """What `run.sh --check` looks for, and the Pythons that verify.sh tries first."""
    path = _recorded_path(payload)
    wanted: dict[str, str] = {}
    for step in steps:
        program = step.words[0]
        if _is_outside(payload, program) and step.expected not in _NOT_FOUND:
            wanted.setdefault(program, f"step {step.name}")
    for place in sorted(
        _scripts_that_ran(payload, steps), key=lambda place: (place.variable, place.rest)
    ):
        interpreter = payload.shebangs[place]
        # `env` looks a bare name up as the job does
        if "/" in interpreter or _is_outside(payload, interpreter):
            wanted.setdefault(interpreter, f"interpreter of {place.rest.lstrip('/')}")
    for program, why in wanted.items():
        payload.needs.add(3, "program", program, why, place="" if "/" in program else path)
    lines = [f"program {quote(program)}" for program in sorted(wanted)]
    pythons = [
        program
        for program in sorted(wanted)
        if os.path.basename(program).startswith("python")  # noqa: PTH119
    ]
    return lines + [f"python {quote(program)}" for program in pythons]
