"""The command in a bundle: `command/`, the steps that run.sh replays, and their programs."""

import posixpath
import re

from jobprov.provenance.bundle.fields import RecordPart, recorded_files
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.needs import CODE, ENVIRONMENT, SMALL_INPUTS
from jobprov.provenance.bundle.payload.environment.environment import is_settable, list_word
from jobprov.provenance.bundle.payload.payload import LaidOutLink, Payload
from jobprov.provenance.bundle.payload.places import Place, normal, quote
from jobprov.provenance.bundle.payload.steps import Step, Surroundings

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
        "unfinished",
        "way.txt",
        "work",
    ]
)
"""Names that run.sh itself makes in OUT."""
_UMASK = re.compile(r"[0-7]{1,4}")
_MOST_NICE = 19
_KILLED = "137"
_LIMITS = (
    ("s", "stack_bytes", 1024),
    ("t", "cpu_seconds", 1),
    ("v", "address_space_bytes", 1024),
    ("n", "open_files", 1),
)
"""(option of `ulimit`, field, bytes or seconds of its unit); -f has another unit in bash."""
# Goes to a folder, and puts what the job's PATH has before that of the caller, as run.sh does
_ENTER = 'mkdir -p -- "$1" && cd -- "$1" && PATH=$2$PATH && export PATH && shift 2 && exec env "$@"'
# A shell's exit codes for a program that could not be started
_NOT_STARTED = frozenset({"126", "127"})


def add_command(payload: Payload) -> None:
    """Write `command/`.

    This comes last: arguments are rewritten for everything that has been laid out by then.
    """
    steps = payload.steps
    payload.write("command/argv.txt", _argv_text(steps))
    working_directory = percent(payload.command.text("working_directory"))
    payload.write("command/cwd.txt", f"{working_directory}\n".encode())
    payload.shell("command/steps.sh", [*_settings(payload), *_step_lines(payload, steps)])
    payload.shell("command/programs.sh", program_lines(payload, steps))
    if not steps:
        payload.needs.add(CODE, "code", "command", "the command of the job was not recorded")
    _link_beside(payload)
    payload.shell("command/layout.sh", [*payload.layout, *payload.link_lines()])
    payload.shell("command/times.sh", payload.times)


def _link_beside(payload: Payload) -> None:
    """Make links by which scripts find `../NAME`, which the job used beside its working directory.

    In arguments, such paths are rewritten; scripts stay as they are.
    """
    if not payload.places.working_directory:
        return
    if payload.is_work_inside_checkout():
        return  # the folders of a copy are in the right places already
    for name in sorted(_names_beside(payload.record) - _OUR_OWN):
        if name.startswith("stdin-"):
            continue  # run.sh's own, too
        beside = payload.places.absolute(f"../{name}")
        place = payload.places.locate(beside) or Place("elsewhere", beside)
        link = LaidOutLink(f"{place.variable}{place.rest}", Place("out", f"/{name}"))
        payload.links_in_out.append(link)


def _names_beside(record: RecordPart) -> set[str]:
    """The names of files and folders that the job used as `../NAME`.

    What was further up cannot be laid out, since it would be outside of OUT.
    """
    names = set()
    for file in recorded_files(record):
        parts = posixpath.normpath(file.text("path")).split("/")
        if len(parts) > 1 and parts[0] == ".." and parts[1] != "..":
            names.add(parts[1])
    return names


def _argv_text(steps: list[Step]) -> bytes:
    """One argument a line, percent-encoded; an empty line between steps."""
    lines: list[str] = []
    for step in steps:
        if lines:
            lines.append("")
        lines += [percent(argument) for argument in step.exact_argv]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _settings(payload: Payload) -> list[str]:
    """The umask, niceness, number of cores and limits that the job had."""
    environment = payload.environment
    umask = environment.text("umask")
    lines = []
    if _UMASK.fullmatch(umask):
        lines.append(f"umask {umask}")
    niceness = environment.number("niceness") or 0
    if 0 < niceness <= _MOST_NICE:
        lines.append(f"niceness {niceness}")
    cores = payload.record.part("host").number("cores") or 0
    if cores > 0:
        lines.append(f"processors {cores}")
    if payload.command.text("stdin") == "closed":
        lines.append("stdin_closed")
    return [*lines, *_limits(payload)]


def _limits(payload: Payload) -> list[str]:
    limits, lines = payload.environment.part("limits"), []
    ulimit = "ulimit -S"
    if any(step.expected == _KILLED for step in payload.steps):
        # A job that was killed at its limit must be killed again. At the soft limit the kernel
        # sends a signal that a program may catch, at the hard limit it kills
        ulimit = "ulimit"
    if limits.text("stack_bytes") == "unlimited":
        lines.append('ulimit -S -s unlimited 2>/dev/null || ulimit -S -s "$(ulimit -H -s)"')
    for option, field, unit in _LIMITS:
        value = limits.number(field)
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
        stdin = payload.command.digest("stdin_sha256")
        lines = _standard_input(payload, "stdin", stdin)
        for number, step in enumerate(steps, 1):
            lines.append(_step_line(payload, step, number))
        return lines
    lines = []
    for number, step in enumerate(steps, 1):
        lines += _standard_input(payload, f"stdin-{number}", step.stdin) or ["stdin=/dev/null"]
        lines.append(_step_line(payload, step, number))
    return lines


def _standard_input(payload: Payload, name: str, sha256: str) -> list[str]:
    """Write what is read from standard input; if it is not possessed, run.sh looks for it.

    Returns:
        The line that names it to run.sh, if one is needed.
    """
    if not sha256:
        return []
    payload.write(f"command/{name}.sha256", f"{sha256}\n".encode())
    if payload.has(sha256) and payload.level >= SMALL_INPUTS:
        payload.keep(f"command/{name}", sha256)
        if name == "stdin":
            return []  # run.sh knows the name of the job's own standard input
        return [f'stdin="$here/${{job_folder}}command/{name}"']
    why = "what the job read from standard input"
    payload.needs.add(SMALL_INPUTS, "input", "standard input", why, digest=sha256)
    place = Place("out", f"/{name}")
    payload.lay_out("input", "standard input", sha256, "-", "", place)
    return [f"stdin={place.word()}"]


def _step_line(payload: Payload, step: Step, number: int) -> str:
    words = [program_word(payload, program_of(payload, step))]
    words += [payload.places.rewrite(argument) for argument in step.exact_argv[1:]]
    if "=" in step.program or step.program.startswith("-"):
        # `env` would take the program's name for a variable or an option
        words = ["sh", "-c", quote('exec "$@"'), "sh", *words]
    if step.surroundings:
        words = [*_entering_words(payload, step.surroundings, number), *words]
    return " ".join(["step", quote(step.name), step.expected, *words])


def _entering_words(payload: Payload, surroundings: Surroundings, number: int) -> list[str]:
    """The shell words before a step's command by which it runs in its own folder and variables.

    run.sh gives all steps the environment in which the record was opened. So the step is started by
    a shell that goes to the folder, and by `env` with what the script had changed by then.
    """
    changed = surroundings.variables.items()
    variables = {name: value for name, value in changed if is_settable(name)}
    path = variables.pop("PATH", None)
    path_word = "''"
    if path:
        path_word = list_word(payload, f"PATH_{number}", path) + ":"
    folder_word = _folder_word(payload, surroundings.folder)
    words = ["sh", "-c", quote(_ENTER), "sh", folder_word, path_word]
    settings = []
    for name, value in sorted(variables.items()):
        if value is None:
            words.append(f"-u {name}")
        elif name == "LD_LIBRARY_PATH":
            settings.append(f"{name}={list_word(payload, f'{name}_{number}', value)}")
        else:
            settings.append(f"{name}={payload.places.rewrite(value)}")
    return [*words, *settings]


def _folder_word(payload: Payload, folder: str) -> str:
    if not folder.startswith("/"):
        return '"$work"'
    place = payload.places.locate(folder) or Place("elsewhere", normal(folder))
    return place.word()


def program_of(payload: Payload, step: Step) -> str:
    """The program of a step, with its path where the step's own folder or PATH leads to it."""
    program, folder = step.program, step.surroundings.folder
    if "/" in program:
        if folder and not program.startswith("/"):
            return f"{folder}/{program}"
        return program
    own_path = step.surroundings.variables.get("PATH") or ""
    for searched in own_path.split(":"):
        path = f"{searched}/{program}"
        if searched.startswith("/") and not _is_outside(payload, path):
            return path
    return program


def program_word(payload: Payload, program: str) -> str:
    """The program as a shell word: in its new place if the bundle lays it out, else as recorded.

    A program in a mapped folder that the bundle does not hold (a venv in a checkout) stays as
    recorded.
    """
    if _is_outside(payload, program):
        return quote(program)
    return payload.places.rewrite(program)


def program_lines(payload: Payload, steps: list[Step]) -> list[str]:
    """The programs that `run.sh --check` looks for, and the Pythons that verify.sh tries first.

    Those from outside the bundle become needs.
    """
    programs = _programs_from_outside(payload, steps)
    for step in steps:
        program, own_path = step.program, step.surroundings.variables.get("PATH")
        if own_path and "/" not in program and program in programs:
            # Not for `run.sh --check`, which looks in the PATH of the job alone
            why = programs.pop(program)
            payload.needs.add(ENVIRONMENT, "program", program, why, place=own_path)
    laid_out = _laid_out_interpreters(payload, steps)
    for program, why in programs.items():
        searched = "" if "/" in program else payload.recorded_variable("PATH")
        payload.needs.add(ENVIRONMENT, "program", program, why, place=searched)
    lines = [f"program {quote(program)}" for program in sorted(programs)]
    lines += [f"program_laid_out {quote(program)}" for program in sorted(laid_out)]
    for program in sorted(programs):
        if posixpath.basename(program).startswith("python"):
            lines.append(f"python {quote(program)}")
    return lines


def _programs_from_outside(payload: Payload, steps: list[Step]) -> dict[str, str]:
    """The programs that are not in the bundle, and what each is for."""
    programs: dict[str, str] = {}
    for step in steps:
        program = program_of(payload, step)
        if _is_outside(payload, program) and step.expected not in _NOT_STARTED:
            programs.setdefault(program, f"step {step.name}")
    scripts = _scripts_that_ran(payload, steps)
    for script in sorted(scripts, key=lambda place: (place.variable, place.rest)):
        interpreter = payload.shebangs[script]
        # `env` searches a bare name on the job's PATH, which may lead into the bundle
        if _is_outside(payload, interpreter):
            programs.setdefault(interpreter, f"interpreter of {script.rest.lstrip('/')}")
    return programs


def _laid_out_interpreters(payload: Payload, steps: list[Step]) -> set[str]:
    """The interpreters with absolute paths that the bundle holds.

    They are found only in a rerun's own root.
    """
    laid_out = set()
    for script in _scripts_that_ran(payload, steps):
        interpreter = payload.shebangs[script]
        if "/" in interpreter and not _is_outside(payload, interpreter):
            laid_out.add(interpreter)
    return laid_out


def _scripts_that_ran(payload: Payload, steps: list[Step]) -> set[Place]:
    """Every recorded script, and every program of a step, that has an interpreter."""
    places = {_place_of(payload, program_of(payload, step)) for step in steps}
    for script in payload.record.parts("scripts"):
        path = script.text("path") or script.text("name")
        if "/" not in path:
            # A bare name would be searched on the PATH
            path = f"./{path}"
        places.add(_place_of(payload, path))
    return {place for place in places if place is not None and place in payload.shebangs}


def _is_outside(payload: Payload, program: str) -> bool:
    return not _is_held(payload, _place_of(payload, program))


def _is_held(payload: Payload, place: Place | None) -> bool:
    """Whether the bundle has a file at this place, by itself or in a repository's copy."""
    if place is None:
        return False
    return place in payload.laid_out or payload.provides(place)


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
    path = payload.recorded_variable("PATH")
    if not path:
        return None
    for folder in path.split(":"):
        if folder.startswith("/") and payload.places.locate(folder) is None:
            # Single files of this folder may be laid out, but the PATH of a rerun does not have it
            continue
        place = _place_of(payload, f"{folder or '.'}/{program}")
        if _is_held(payload, place):
            return place
    return None
