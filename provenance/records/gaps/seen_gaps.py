"""Gaps of what nobody saw: outputs that are not there, programs without fcl or of unknown code.

A record that names nothing is not complete for that: what the hook saw by itself, or could not see,
counts like what it was told.

Source: docs/reference/gaps.md, docs/reference/record.md (`command.processes`, `outputs_not_there`).
"""

from collections.abc import Iterator

from jobprov.provenance.records.job_record import JobRecord, Output, Step

ART_PROGRAMS = frozenset({"art", "art_ut", "lar", "lar_ut", "mu2e", "nova", "gm2", "uboone"})
"""Programs that cannot run without an fcl file."""

_SHOWN = 3


def seen_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (code, sentence) of each gap."""
    yield from _program_gaps(record)
    yield from _output_gaps(record)


def _program_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    configured = {configuration.step for configuration in record.configurations or ()}
    steps = record.command.steps if record.command else None
    for step in steps or ():
        if _needs_configuration(step) and step.name not in configured:
            yield "no-configuration", f"{step.name} ran, and no fcl file of it is recorded."
    processes = record.command.processes if record.command else None
    if processes is None:
        return
    for path in processes.unknown_programs or ():
        yield "code-unknown", f"{path} ran, which is in no known repository or product."
    if processes.is_complete is False:
        reason = processes.why_incomplete or "the hook does not say why"
        yield "children-unseen", f"The job may have run or made more than was seen: {reason}."


def _needs_configuration(step: Step) -> bool:
    if step.role == "program":
        return True
    program = step.argv[0].rpartition("/")[2] if step.argv else ""
    return program in ART_PROGRAMS


def _output_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    not_there = record.outputs_not_there or ()
    if not_there:
        names = ", ".join(output.path for output in not_there[:_SHOWN])
        more = f" and {len(not_there) - _SHOWN} more" if len(not_there) > _SHOWN else ""
        yield "output-not-there", f"Named as outputs and not there: {names}{more}."
    if record.state != "succeeded" or record.hook is None:
        return  # a batch system, or a job that failed, is not asked for outputs
    if not any(_is_made(output) for output in record.outputs or ()):
        yield "outputs-missing", "The job succeeded, and no file that it made is recorded."


def _is_made(output: Output) -> bool:
    return output.status in (None, "written", "empty", "dropped")
