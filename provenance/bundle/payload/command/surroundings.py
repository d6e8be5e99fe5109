"""What is other for a step of a job than for the steps before it: its folder and variables.

A job script goes to other folders and sets up products between its steps. run.sh gives all steps
the environment in which the record was opened, so such a step is started by a shell that goes to
the folder, and by `env` with what the script had changed by then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jobprov.provenance.bundle.fields import mapping, rows, text, texts
from jobprov.provenance.bundle.payload.environment.environment import is_settable, list_word
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, normal, quote

# PATH with what the job's has, as run.sh sets it before the command
_ENTER = 'mkdir -p -- "$1" && cd -- "$1" && PATH=$2$PATH && export PATH && shift 2 && exec env "$@"'


@dataclass(frozen=True)
class Surroundings:
    """What is other for a step than for the job.

    Attributes:
        folder: absolute; empty if it is the job's.
        variables: those with other values, by name; None for one that was unset.
    """

    folder: str = ""
    variables: Mapping[str, str | None] = field(default_factory=dict)

    def after(self, step: Mapping[str, Any]) -> "Surroundings":
        """Return those of a step that comes after one with these."""
        variables = dict(self.variables)
        for name, value in mapping(step.get("variables")).items():
            variables[name] = text(value)
        for name in texts(step.get("variables_unset")):
            variables[name] = None
        return replace(self, folder=text(step.get("working_directory")), variables=variables)

    def __bool__(self) -> bool:
        """Return whether anything is other."""
        return bool(self.folder or self.variables)


def surroundings_of_steps(
    record: Mapping[str, Any],
) -> Iterator[tuple[Mapping[str, Any], Surroundings]]:
    """Yield the steps that a job script began itself, each with what is other for it."""
    now = Surroundings()
    for step in rows(mapping(record.get("command")).get("steps")):
        if step.get("role") == "program":
            continue  # a program that was only seen
        now = now.after(step)
        yield step, now


def words_in(
    payload: Payload, surroundings: Surroundings, number: int, command: list[str]
) -> list[str]:
    """Return shell words that run a command, given as shell words, in its surroundings."""
    settable = {n: v for n, v in surroundings.variables.items() if is_settable(n)}
    path = settable.pop("PATH", None)
    path_word = "''"
    if path:
        path_word = _list_word(payload, "PATH", path, number) + ":"
    words = ["sh", "-c", quote(_ENTER), "sh", _folder_word(payload, surroundings.folder), path_word]
    for name, value in sorted(settable.items()):
        if value is None:
            words.append(f"-u {name}")
    for name, value in sorted(settable.items()):
        if value is not None:
            words.append(f"{name}={_value_word(payload, name, value, number)}")
    return [*words, *command]


def _folder_word(payload: Payload, folder: str) -> str:
    if not folder.startswith("/"):
        return '"$work"'
    place = payload.places.locate(folder) or Place("elsewhere", normal(folder))
    return place.word()


def _value_word(payload: Payload, name: str, value: str, number: int) -> str:
    if name == "LD_LIBRARY_PATH":
        return _list_word(payload, name, value, number)
    return payload.places.rewrite(value)


def _list_word(payload: Payload, name: str, value: str, number: int) -> str:
    return list_word(payload, f"{name}_{number}", value)
