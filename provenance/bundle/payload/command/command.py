"""The command in a bundle: `command/`, the payload steps that run.sh replays, and their programs."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobprov.provenance.bundle.fields import digest, mapping, number, rows, text, texts
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.payload.command.surroundings import (
    Surroundings,
    surroundings_of_steps,
    words_in,
)
from jobprov.provenance.bundle.payload.odd_words import exact_words
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, quote

# A shell's exit codes for a program that could not be started
_NOT_FOUND = frozenset({"126", "127"})
_OUR_OWN = frozenset(
    [
        "alive",
        "elsewhere",
        "exit-codes.txt",
        "git",
        "home",
        "in-part.txt",
        "input",
        "job.txt",
        "laid-out.txt",
        "no-root",
        "outputs-before.txt",
        "overlay",
        "root",
        "root.sh",
        "run.log",
        "src",
        "started",
        "stdin",
        "stubs.txt",
        "tmp",
        "way.txt",
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
    ("n", "open_files", 1),
)  # -f has another unit in bash
_KILLED = "137"
_MOST_NICE = 19


@dataclass(frozen=True)
class Step:
    """One program to replay.

    Attributes:
        expected: the exit code as a shell sees it; `-` if none was recorded.
        stdin: digest of what the step itself read from standard input; empty if not recorded.
        words: `argv` with the original bytes where these are not UTF-8.
        surroundings: what is other for it than for the job.
    """

    name: str
    argv: list[str]
    expected: str
    stdin: str = ""
    words: tuple[str, ...] = ()
    surroundings: Surroundings = Surroundings()  # noqa: RUF009 - it is frozen


def payload_steps(record: Mapping[str, Any]) -> list[Step]:
    """The steps that a rerun replays: those whose role is payload, else the command itself."""
    command = mapping(record.get("command"))
    code_of_job = _code(mapping(record.get("exit")), "code")
    steps: list[Step] = []
    for step, surroundings in surroundings_of_steps(record):
        if step.get("role") == "payload" and texts(step.get("argv")):
            steps.append(replace(_step(step, len(steps)), surroundings=surroundings))
    argv = texts(command.get("argv"))
    if not steps and argv:
        return [Step("job", argv, code_of_job, words=tuple(argv))]
    if len(steps) == 1 and steps[0].expected == "-":
        # The only step ended as the job did
        return [replace(steps[0], expected=code_of_job)]
    return steps


def _step(step: Mapping[str, Any], index: int) -> Step:
    return Step(
        name=text(step.get("name")) or f"step-{index}",
        argv=texts(step.get("argv")),
        expected=_code(step, "exit_code"),
        stdin=digest(step.get("stdin_sha256")),
        words=tuple(exact_words(step)),
    )


def _code(outcome: Mapping[str, Any], field: str) -> str:
    signal, code = number(outcome.get("signal")), number(outcome.get(field))
    if signal:
        return str(_SIGNALLED + signal)
    return "-" if code is None else _shown(code)


def _shown(code: int) -> str:
    """A recorded exit code as a shell sees it: modulo 256.

    Some recorders write other numbers: a multiple of 256 is the status of `system()` and `wait()`;
    -2 to -64 are signals, as in Python's subprocess.
    """
    if code in _SIGNALS:
        return str(_SIGNALLED - code)
    if code == 0 or code % _CODES != 0:
        return str(code % _CODES)
    code_in_status = code // _CODES
    return str(code_in_status) if 0 < code_in_status < _CODES else "-"


def add_command(payload: Payload) -> None:
    """Write `command/`.

    This comes last: arguments are rewritten for everything that has been laid out by then.
    """
    steps = payload_steps(payload.record)
    payload.write("command/argv.txt", _argv_text(steps))
    working_directory = percent(text(payload.command.get("working_directory")))
    payload.write("command/cwd.txt", f"{working_directory}\n".encode())
    payload.shell("command/steps.sh", [*_settings(payload), *_step_lines(payload, steps)])
    payload.shell("command/programs.sh", _program_lines(payload, steps))
    if not steps:
        payload.needs.add(1, "code", "command", "the command of the job was not recorded")
    _link_beside(payload)
    payload.shell("command/layout.sh", [*payload.layout, *payload.link_lines()])
    payload.shell("command/times.sh", payload.times)


def _link_beside(payload: Payload) -> None:
    """Make links by which scripts find `../NAME`, which the job used beside its working directory.

    In arguments, such paths are rewritten; scripts stay as they are.
    """
    if not payload.places.working_directory:
        return
    # Inside a copy of a checkout, the folders are in the right places already
    if any(line.startswith("work_inside ") for line in payload.layout):
        return
    for name in sorted(_names_beside(payload.record) - _OUR_OWN):
        if name.startswith("stdin-"):
            continue  # run.sh's own, too
        beside = payload.places.absolute(f"../{name}")
        place = payload.places.locate(beside) or Place("elsewhere", beside)
        payload.links_in_out.append((f"{place.variable}{place.rest}", Place("out", f"/{name}")))


def _names_beside(record: Mapping[str, Any]) -> set[str]:
    """The names of files and folders that the job used as `../NAME`.

    What was further up cannot be laid out, since it would be outside of OUT.
    """
    names = set()
    for kind in ("inputs", "outputs", "scripts"):
        for file in rows(record.get(kind)):
            parts = posixpath.normpath(text(file.get("path"))).split("/")
            if len(parts) > 1 and parts[0] == ".." and parts[1] != "..":
                names.add(parts[1])
    return names


def _argv_text(steps: list[Step]) -> bytes:
    """One argument a line, percent-encoded; an empty line between steps."""
    lines: list[str] = []
    for step in steps:
        if lines:
            lines.append("")
        lines += [percent(argument) for argument in step.words]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _settings(payload: Payload) -> list[str]:
    environment = mapping(payload.record.get("environment"))
    umask = text(environment.get("umask"))
    lines = []
    if umask and len(umask) <= 4 and set(umask) <= set("01234567"):  # noqa: PLR2004
        lines.append(f"umask {umask}")
    niceness = number(environment.get("niceness")) or 0
    if 0 < niceness <= _MOST_NICE:
        lines.append(f"niceness {niceness}")
    cores = number(mapping(payload.record.get("host")).get("cores")) or 0
    if cores > 0:
        lines.append(f"processors {cores}")
    if payload.command.get("stdin") == "closed":
        lines.append("stdin_closed")
    limits = mapping(environment.get("limits"))
    is_killed = any(step.expected == _KILLED for step in payload_steps(payload.record))
    # A job that was killed at its limit must be killed again. At the soft limit the kernel sends a
    # signal that a program may catch, at the hard limit it kills
    ulimit = "ulimit" if is_killed else "ulimit -S"
    if limits.get("stack_bytes") == "unlimited":
        lines.append('ulimit -S -s unlimited 2>/dev/null || ulimit -S -s "$(ulimit -H -s)"')
    for option, field, unit in _LIMITS:
        value = number(limits.get(field))
        if value is not None and value > 0:
            limit = f"-{option} {value // unit}"
            note = f"say 'note: the limit of the job cannot be set here: ulimit {limit}'"
            lines.append(f"{ulimit} {limit} 2>/dev/null || {note}")
    return lines


def _step_lines(payload: Payload, steps: list[Step]) -> list[str]:
    """The lines of the steps, and before each the line for its standard input.

    If no step has its own recorded, each reads that of the job.
    """
    if not any(step.stdin for step in steps):
        stdin = digest(payload.command.get("stdin_sha256"))
        lines = _standard_input(payload, "stdin", stdin)
        return lines + [_step_line(payload, step, index) for index, step in enumerate(steps, 1)]
    lines = []
    for index, step in enumerate(steps, 1):
        lines += _standard_input(payload, f"stdin-{index}", step.stdin) or ["stdin=/dev/null"]
        lines.append(_step_line(payload, step, index))
    return lines


def _standard_input(payload: Payload, name: str, sha256: str) -> list[str]:
    """Write what is read from standard input; if it is not possessed, run.sh looks for it.

    Returns:
        The line that names it to run.sh, if one is needed.
    """
    if not sha256:
        return []
    payload.write(f"command/{name}.sha256", f"{sha256}\n".encode())
    if payload.has(sha256) and payload.level >= 2:  # noqa: PLR2004 - L2
        payload.keep(f"command/{name}", sha256)
        # run.sh knows the name of the job's own standard input
        return [] if name == "stdin" else [f'stdin="$here/${{job_folder}}command/{name}"']
    payload.needs.add(
        2, "input", "standard input", "what the job read from standard input", digest=sha256
    )
    place = Place("out", f"/{name}")
    payload.lay_out("input", "standard input", sha256, "-", "", place)
    return [f"stdin={place.word()}"]


def _step_line(payload: Payload, step: Step, index: int) -> str:
    program, *arguments = step.words
    command = [_program_word(payload, _program_of(payload, step))]
    command += [payload.places.rewrite(argument) for argument in arguments]
    if "=" in program or program.startswith("-"):
        # `env` would take the program's name for a variable or an option
        command = ["sh", "-c", quote('exec "$@"'), "sh", *command]
    if step.surroundings:
        command = words_in(payload, step.surroundings, index, command)
    return " ".join(["step", quote(step.name), step.expected, *command])


def _program_of(payload: Payload, step: Step) -> str:
    """The program of a step, with its path where the step's own folder or PATH leads to it."""
    program, folder = step.words[0], step.surroundings.folder
    if "/" in program:
        return program if program.startswith("/") or not folder else f"{folder}/{program}"
    for place in (step.surroundings.variables.get("PATH") or "").split(":"):
        path = f"{place}/{program}"
        if place.startswith("/") and not _is_outside(payload, path):
            return path
    return program


def _program_word(payload: Payload, program: str) -> str:
    """The program as a shell word: in its new place if the bundle lays it out, else as recorded.

    A program in a mapped folder that the bundle does not hold (a venv in a checkout) stays as
    recorded.
    """
    if _is_outside(payload, program):
        return quote(program)
    return payload.places.rewrite(program)


def _is_outside(payload: Payload, program: str) -> bool:
    place = _place_of(payload, program)
    return place not in payload.laid_out and not _is_provided(payload, place)


def _place_of(payload: Payload, program: str) -> Place | None:
    if "/" not in program:
        return _place_on_path(payload, program)
    absolute = payload.places.absolute(program)
    if absolute.startswith("/"):
        return payload.places.locate(absolute)
    return payload.places.settle(program)


def _place_on_path(payload: Payload, program: str) -> Place | None:
    """The place of a program on the recorded PATH, if the bundle lays it out there; else None.

    This may be the `bin` of a checkout.
    """
    path = _recorded_path(payload)
    folders = path.split(":") if path else []
    for folder in folders:
        if folder.startswith("/") and payload.places.locate(folder) is None:
            # Single files of this folder may be laid out, but the PATH of a rerun does not have it
            continue
        place = _place_of(payload, f"{folder or '.'}/{program}")
        if place in payload.laid_out or _is_provided(payload, place):
            return place
    return None


def _is_provided(payload: Payload, place: Place | None) -> bool:
    return place is not None and payload.provides(place)


def _recorded_path(payload: Payload) -> str:
    return text(mapping(mapping(payload.record.get("environment")).get("variables")).get("PATH"))


def _scripts_that_ran(payload: Payload, steps: list[Step]) -> set[Place]:
    """Every recorded script, and every program of a step, that has an interpreter."""
    places = {_place_of(payload, _program_of(payload, step)) for step in steps}
    for script in rows(payload.record.get("scripts")):
        path = text(script.get("path")) or text(script.get("name"))
        if "/" not in path:
            # A bare name would be searched on the PATH
            path = f"./{path}"
        places.add(_place_of(payload, path))
    return {place for place in places if place is not None and place in payload.shebangs}


def _program_lines(payload: Payload, steps: list[Step]) -> list[str]:
    """The programs that `run.sh --check` looks for, and the Pythons that verify.sh tries first."""
    path = _recorded_path(payload)
    programs = _programs_from_outside(payload, steps)
    for step in steps:
        own_path = step.surroundings.variables.get("PATH")
        if own_path and "/" not in step.words[0] and step.words[0] in programs:
            # run.sh looks in the PATH of the job alone
            payload.needs.add(
                3, "program", step.words[0], programs.pop(step.words[0]), place=own_path
            )
    interpreters = _laid_out_interpreters(payload, steps)
    for program, why in programs.items():
        where = "" if "/" in program else path
        payload.needs.add(3, "program", program, why, place=where)
    lines = [f"program {quote(program)}" for program in sorted(programs)]
    lines += [f"program_laid_out {quote(program)}" for program in sorted(interpreters)]
    pythons = [program for program in sorted(programs) if _is_python(program)]
    return lines + [f"python {quote(program)}" for program in pythons]


def _is_python(program: str) -> bool:
    return posixpath.basename(program).startswith("python")


def _programs_from_outside(payload: Payload, steps: list[Step]) -> dict[str, str]:
    """The programs that are not in the bundle, and what each is for."""
    programs: dict[str, str] = {}
    for step in steps:
        program = _program_of(payload, step)
        if _is_outside(payload, program) and step.expected not in _NOT_FOUND:
            programs.setdefault(program, f"step {step.name}")
    scripts = _scripts_that_ran(payload, steps)
    for place in sorted(scripts, key=lambda place: (place.variable, place.rest)):
        interpreter = payload.shebangs[place]
        # `env` searches a bare name on the job's PATH, which may lead into the bundle
        if _is_outside(payload, interpreter):
            programs.setdefault(interpreter, f"interpreter of {place.rest.lstrip('/')}")
    return programs


def _laid_out_interpreters(payload: Payload, steps: list[Step]) -> set[str]:
    """The interpreters with absolute paths that the bundle has: found only in a root of their own."""
    interpreters = {payload.shebangs[place] for place in _scripts_that_ran(payload, steps)}
    return {path for path in interpreters if "/" in path and not _is_outside(payload, path)}
