"""Where the programs of a job are in a rerun: in the bundle, or installed outside of it."""

import posixpath

from jobprov.provenance.bundle.needs import ENVIRONMENT
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, quote
from jobprov.provenance.bundle.payload.steps import Step

# A shell's exit codes for a program that could not be started
_NOT_STARTED = frozenset({"126", "127"})


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
