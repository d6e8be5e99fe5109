"""The cases of the trial, read from the TOML files in `cases/`.

In all their texts, `@ROOT@` is the case's own folder, `@WORK@` the working directory in it,
`@VARTMP@` a folder of its own below /var/tmp, `@VENV@` the virtual environment with the packages
from PyPI, and `@PORT@` a free port.
"""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "cases"
VENV = "venv"
"""In `needs`: the virtual environment, not a program of the system."""
STDOUT = "-"
"""In `outputs`: what the job prints."""


@dataclass(frozen=True)
class Case:
    """A job that somebody might run, and what a rerun of it is to be compared with.

    Attributes:
        name: unique; letters, digits and dashes.
        nasty: why a rerun may fail or differ, in words; empty for a plain job.
        command: the words behind `job-end-hook.pyz run --`; with `is_hooked`, all words.
        needs: programs that must be on the PATH, or `venv`; without them the case is skipped.
        files: texts by path below the root; those that begin with `#!` can be executed.
        setup: a shell script that prepares the root before the job.
        meanwhile: a shell script that runs beside the job, half a second after its start.
        server: a shell command that listens on @PORT@ while the job runs, and never again.
        outputs: paths below `work`, or absolute ones; %XX is a byte; `-` is what the job prints.
        stdin: file that the job reads as standard input.
        env: variables besides PATH, HOME, USER and LANG.
        options: options of the hook.
        repositories: folders below the root that the operator registers as repositories.
        exit_code: the code with which the job ends when all is well, as a shell sees it.
        is_deterministic: whether running it twice at the same place gives the same outputs.
        is_hooked: the command calls the hook itself, by $JOBPROV_HOOK.
        hint: words (a regular expression) that a gap or NEEDS must say to foretell this failure.
        telling: codes of gaps without a level that foretell it whatever they say.
        folder: the working folder below the root.
        quick: whether the case is in the part that the tests run.
    """

    name: str
    command: tuple[str, ...]
    nasty: str = ""
    needs: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    setup: str = ""
    meanwhile: str = ""
    server: str = ""
    outputs: tuple[str, ...] = ()
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    exit_code: int = 0
    is_deterministic: bool = True
    is_hooked: bool = False
    hint: str = ""
    telling: tuple[str, ...] = ()
    folder: str = "work"
    quick: bool = False


def read_cases(folder: Path = FOLDER) -> list[Case]:
    """Return the cases of all files, in order.

    Raises:
        ValueError: two have one name, or one has a field that no case has.
    """
    cases: list[Case] = []
    for file in sorted(folder.glob("*.toml")):
        for table in tomllib.loads(file.read_text("utf-8"))["case"]:
            cases.append(_read_case(table, file.name))
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            message = f"two cases have the name {name}"
            raise ValueError(message)
    return cases


def _read_case(table: dict[str, Any], file: str) -> Case:
    unknown = table.keys() - {part.name for part in fields(Case)}
    if unknown:
        message = f"{file}: {table.get('name')}: no case has a field {min(unknown)}"
        raise ValueError(message)
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Case(**{**table, **lists})
