"""`jobprov job ID --parameter KEY`: what a parameter was as the job ran, and who set it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from jobprov.provenance.answers.configurations import EvaluatedConfiguration
from jobprov.provenance.answers.lookup.jobs import JobAnswer
from jobprov.provenance.capture.command.arguments import without_prefix
from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.fhicl import Configuration, loads
from jobprov.provenance.fhicl.running.command_line import read_command_line
from jobprov.provenance.fhicl.running.errors import NotKnownError
from jobprov.provenance.fhicl.running.options import option_that_set
from jobprov.provenance.services.comparisons.sentences import readable


class RanValue(Struct, frozen=True):
    """A parameter of one step.

    Attributes:
        value: as it ran, in canonical form; None where what ran does not have it, or is not known.
        set_by: who set that, in words; None of a table, which has values of many.
        written: what the files say, in canonical form; None where they do not say it.
        written_at: where they do, `file:line`.
        not_known: why it is not known what ran; None where it is.
    """

    step: str
    key: str
    value: str | None
    set_by: str | None
    written: str | None
    written_at: str | None
    not_known: str | None


def ran_values(client: Client, job: JobAnswer, key: str) -> Iterator[RanValue]:
    """Yield a parameter of each configuration of a job that has it, as run or as written.

    Raises:
        NotFoundError: none has it.
    """
    has_any = False
    for place, configuration in enumerate(job.configurations):
        step = configuration.get("step") or str(place)
        value = _ran_value(client, job, step, key)
        if value.value is not None or value.written is not None:
            has_any = True
            yield value
    if not has_any:
        raise NotFoundError(f"No configuration of job {job.summary.job_id} has {key}.")


def _ran_value(client: Client, job: JobAnswer, step: str, key: str) -> RanValue:
    job_id, experiment = job.summary.job_id, job.summary.experiment
    evaluated = client.configuration(job_id, step, experiment=experiment)
    text = client.configuration_text(job_id, step, "canonical", experiment=experiment)
    written, written_at = _value(loads(text), key), _place(evaluated, key)
    try:
        text = client.configuration_text(job_id, step, "ran", experiment=experiment)
    except NotFoundError as problem:
        return RanValue(step, key, None, None, written, written_at, str(problem))
    value = _value(loads(text), key)
    set_by = None
    is_table = value is not None and value.startswith("{")
    if is_table:
        set_by = None  # by each of what is in it
    elif value is not None and value == written:
        set_by = written_at
    elif value is not None:
        set_by = _option(_command_line(job, step), key) or "art itself"
    return RanValue(step, key, value, set_by, written, written_at, None)


def _value(configuration: Configuration, key: str) -> str | None:
    try:
        return configuration.canonical_value(key)
    except NotFoundError:
        return None


def _place(evaluated: EvaluatedConfiguration, key: str) -> str | None:
    """Return file and line of a parameter; of a table or sequence, of the first in it."""
    inside = (f"{key}.", f"{key}[")
    for parameter in evaluated.parameters:
        if parameter.key == key or parameter.key.startswith(inside):
            return f"{parameter.file}:{parameter.line}" if parameter.file else None
    return None


def _command_line(job: JobAnswer, step: str) -> Sequence[str]:
    command: Mapping[str, Any] = job.merged.get("command") or {}
    for known in command.get("steps") or []:
        if known.get("name") == step:
            return known.get("argv") or []
    return command.get("argv") or []


def _option(argv: Sequence[str], key: str) -> str | None:
    try:
        option = option_that_set(key, read_command_line(without_prefix(argv)))
    except NotKnownError:
        return None
    return f"the command line, {option}" if option else None


def sentence(value: RanValue) -> str:
    """Return a parameter in words: what it was, and who set it."""
    begin = f"{value.key} in step {value.step}"
    written = None if value.written is None else readable(value.written)
    if value.not_known is not None:
        return f"{begin}, as written in {value.written_at}: {written}. {value.not_known}"
    if value.value is None:
        return f"{begin}: not in what ran, as no path has it; {value.written_at} says {written}"
    words = f"{begin}: {readable(value.value)}"
    if value.set_by is None:
        return words
    words += f", set by {value.set_by}"
    if written is not None and value.written != value.value:
        words += f"; {value.written_at} says {written}"
    return words
