"""What art's log reports of a whole run: how it closed, how many events it saw, and its seeds.

Of a job that succeeded, this is all that is read; the rest is in `art_log`. Sources: art's closing
line, `TrigReport Events`, `%MSG-i RANDOM`, and the end-of-job summary of LArSoft's NuRandomService.
Text in, text out, as in `art_log`.
"""

import re
from typing import Any, Dict, List, Optional

from jobprov.provenance.capture.record.json_objects import Entry

CLOSING = re.compile(r"^Art has completed and will exit with status (\d+)\.[^\n]*\n?", re.MULTILINE)
_EVENTS = re.compile(
    r"^TrigReport Events total = (\d+) passed = (\d+) failed = (\d+)", re.MULTILINE
)
_SEED = re.compile(
    r"^Instantiated (\w+) engine \"([^:\"]*):\d+:([^\"]*)\" with seed (\d+)\.", re.MULTILINE
)
_SUMMARY = re.compile(r"^Summary of seeds computed by the (\w+)")
_SUMMARY_ROW = re.compile(
    r"^\s*(?P<number>\d+|\S*[^\d\s]\S*)?\s+(?:(?P<seed>\d+)|\(same\))?"
    r"\s*(?P<module>[A-Za-z_]\w*)(?:[.:](?P<instance>\w+))?(?: \(global\))?\s*$"
)
_LONGEST_ROW = 200
_BASE_SEED = re.compile(r"^\s*(?:master seed|Base Seed):\s*(\d+)\s*$", re.IGNORECASE)
_MOST_SEEDS, _MOST_REPORTS = 2000, 100


def closing_status(text: str) -> Optional[int]:
    """Return the status of the last closing line, or None without one."""
    statuses = CLOSING.findall(text)
    return int(statuses[-1]) if statuses else None


def count_events(text: str) -> List[Dict[str, int]]:
    """Return {total, passed, failed} of each report, one for each run of art."""
    reports = []
    for total, passed, failed in _EVENTS.findall(text)[-_MOST_REPORTS:]:
        reports.append({"total": int(total), "passed": int(passed), "failed": int(failed)})
    return reports


def seeds(text: str) -> List[Entry]:
    """Return [{module, instance, engine, seed}] as the log lists them, each once, in order."""
    entries: List[Entry] = []
    for engine, module, instance, seed in _SEED.findall(text):
        entries.append(
            {"module": module, "instance": instance, "engine": engine, "seed": int(seed)}
        )
    entries += _summarised(text)
    unique: List[Entry] = []
    for entry in entries[:_MOST_SEEDS]:
        if entry not in unique:
            unique.append(entry)
    return unique


def may_tell_seeds(content: bytes) -> bool:
    """Tell whether it is worth looking for seeds in a log's bytes."""
    return b"with seed " in content or b"Summary of seeds computed" in content


def _summarised(text: str) -> List[Entry]:
    """Return the seeds of the end-of-job summaries.

    Those of NuRandomService, LArSeedService and Mu2e's SeedService.
    """
    entries: List[Entry] = []
    service = None
    for line in text.splitlines():
        begun = _SUMMARY.match(line)
        if begun:
            service = begun.group(1)
        elif line.startswith("%MSG"):
            service = None
        elif service:
            base, row = _BASE_SEED.match(line), _SUMMARY_ROW.match(line[:_LONGEST_ROW])
            if base:
                entries.append({"module": service, "instance": "base", "seed": int(base.group(1))})
            elif row:
                entries += _summary_entry(row)
    return entries


def _summary_entry(row: Any) -> List[Entry]:
    """Return a row of a summary as a list of one; empty where it has no seed.

    A seed may be the row's only number.
    """
    seed = row.group("seed") or row.group("number") or ""
    if not seed.isdigit():
        return []
    return [
        {"module": row.group("module"), "instance": row.group("instance") or "", "seed": int(seed)}
    ]
