"""Gaps of configurations: fcl that cannot be evaluated, or that is not what the program ran.

Source: docs/reference/gaps.md, docs/reference/record.md (`configurations`).
"""

from collections.abc import Iterator

from jobprov.provenance.records.gaps.codes import Message
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.job_record import JobRecord

_MOST_IDS = 3
_PLACES_IN_EXTRA = ("checked", "reconstructed")
"""Where `extra` holds what was found in an art file that the job wrote."""


def configuration_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    """Yield which configurations cannot be evaluated, or differ from what ran."""
    for position, configuration in enumerate(record.configurations or ()):
        name = configuration.main or configuration.step or f"configurations[{position}]"
        if position in findings.unevaluated:
            problem = findings.unevaluated[position]
            if position in findings.too_large:
                yield "configuration-too-large", f"{name}: {problem}"
            else:
                yield "configuration-unevaluated", f"{name} cannot be evaluated: {problem}"
        if position in findings.differing:
            yield "configuration-differs", f"{name}: {findings.differing[position]}"
    yield from _stored_configuration_gaps(record)


def _stored_configuration_gaps(record: JobRecord) -> Iterator[Message]:
    """Yield whether the configuration that art wrote into a file is not the one of the record."""
    recorded: set[str] = set()
    for configuration in record.configurations or ():
        if configuration.parameter_set_id:
            recorded.add(configuration.parameter_set_id)
    file_name, stored = _stored_by_art(record)
    if recorded and stored and not recorded & stored:
        ids = ", ".join(sorted(stored)[:_MOST_IDS])
        yield (
            "configuration-differs-in-file",
            (
                f"The record says ParameterSetID {min(recorded)[:40]} was run; {file_name}, "
                f"as art wrote it, has {ids}."
            ),
        )


def _stored_by_art(record: JobRecord) -> tuple[str, set[str]]:
    """Return the name of an art file that the job wrote, and the ParameterSetIDs in it.

    The ids are those of the processes in the file. There are none if nobody looked into it.
    """
    for key in _PLACES_IN_EXTRA:
        art_file = (record.extra or {}).get(key)
        if not isinstance(art_file, dict):
            continue
        processes = art_file.get("processes")
        if isinstance(processes, list):
            described = [process for process in processes if isinstance(process, dict)]
            ids = {str(process.get("parameter_set_id")) for process in described}
            return str(art_file.get("file") or "the file"), ids
    return "", set()
