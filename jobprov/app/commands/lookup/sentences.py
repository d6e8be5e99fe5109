"""The lines in which commands show files and jobs: a title and a fact."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.records.release_products import software_rank
from jobprov.provenance.times import minute_text

MOST_LISTED = 10


def fact(title: str, text: str) -> str:
    """Return one line: what it is about, and what there is to know."""
    return f"{title:<10} {text}"


def names(title: str, listed: Sequence[str]) -> list[str]:
    """Return a line for each name, as many as fit on a screen."""
    lines = []
    for place, name in enumerate(listed[:MOST_LISTED]):
        lines.append(fact("" if place else title, name))
    if len(listed) > MOST_LISTED:
        lines.append(fact("", f"… and {len(listed) - MOST_LISTED} more"))
    return lines


def code_lines(
    software: Iterable[Mapping[str, Any]], configurations: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Return the software and the configurations that a job ran, a line each.

    Code of repositories comes first, then the product of the release.
    """
    entries = sorted(software, key=software_rank)
    lines = [fact("code", _code(entry)) for entry in entries[:MOST_LISTED]]
    if len(entries) > MOST_LISTED:
        lines.append(fact("", f"… and {len(entries) - MOST_LISTED} more"))
    for place, configuration in enumerate(islice(configurations, MOST_LISTED)):
        files = counted(len(configuration.get("files") or []), "file")
        step = configuration.get("step") or place
        lines.append(fact("fcl", f"{configuration.get('main')} with {files} (step {step})"))
    return lines


def _code(entry: Mapping[str, Any]) -> str:
    """Return a software entry: version, qualifiers, commit, and whether the service keeps that."""
    resolution = entry.get("resolution") or {}
    product = entry.get("product") or {}
    parts = []
    if version := entry.get("requested_ref") or product.get("version"):
        parts.append(version)
    if qualifiers := product.get("qualifiers"):
        parts.append(f"qualifiers {qualifiers}")
    if commit := resolution.get("commit") or entry.get("revision"):
        parts.append(f"commit {commit}")
    if resolution.get("evidence") == "inferred":
        parts.append("inferred from its version")
    if entry.get("is_dirty"):
        parts.append("changed")
    kept = "kept here" if resolution else "not kept here"
    return f"{entry.get('name')} {', '.join(parts)} ({kept})"


def place(job: JobSummary) -> str:
    """Return where a job ran."""
    host = job.host.hostname or "an unknown host"
    return f"{host} at {job.host.site}" if job.host.site else host


def minute(moment: str | None) -> str:
    """Return a moment to the minute."""
    if not moment:
        return "an unknown time"
    return minute_text(moment)
