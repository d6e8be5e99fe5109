"""The bundle of many jobs: code, fcl and programs once, record and list of commands for each job.

Each job is planned as for a bundle of its own, but into a common draft, where files with the same
digest are there once. Tables that only repeat the record are left out. run.sh follows one file for
each job, `jobs/ID.sh`; parts of these that jobs share are in `lists/`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobprov.provenance.bundle.bag import add_bag
from jobprov.provenance.bundle.description.crate import campaign_crate
from jobprov.provenance.bundle.draft import Draft, WriteBlob
from jobprov.provenance.bundle.fields import RecordPart
from jobprov.provenance.bundle.ingredients import Ingredients, Reader
from jobprov.provenance.bundle.names import Shelf, percent, plain_name
from jobprov.provenance.bundle.needs import Needs, tsv
from jobprov.provenance.bundle.payload.environment.environment import variable_lines
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.plan import (
    SPEC_VERSION,
    Plan,
    bundle_time,
    ceiling_of,
    fill,
    finished_plan,
)
from jobprov.provenance.bundle.templates import EDITION, add_programs, filled, template
from jobprov.provenance.errors import BundleError

MOST_JOBS = 20_000
_OWN_LINES = ("input ", "folder ")  # lines of a layout that differ from job to job
_SHARED_FOLDERS = ("git/", "src/")
_SECTIONS = {
    "command/paths.sh": "paths",
    "command/programs.sh": "programs",
    "command/steps.sh": "steps",
    "command/times.sh": "times",
    "outputs/job.sh": "job",
    "outputs/expected.sh": "expected",
}
_COLUMNS = ("job_id", "state", "stage", "level", "ended_at")


class _JobPayload(Payload):
    """One job's payload in the common draft.

    Tables are dropped, lists are kept for `jobs/ID.sh`.
    """

    def __init__(
        self, ingredients: Ingredients, draft: Draft, top: str, level: int, common: "_Common"
    ) -> None:
        super().__init__(ingredients, draft, top, level, EDITION)
        self.shelf = common.shelf
        self.repositories = common.repositories
        self.job_id = self.record.text("job_id")
        self.lists: dict[str, list[str]] = {}

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Put a file of the code at its path; drop others, which repeat the record."""
        if path.startswith(_SHARED_FOLDERS):
            super().write(path, data, mode=mode)

    def write_shared(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Do nothing: the file would repeat the record."""

    def keep(self, path: str, sha256: str, *, mode: int = 0o644) -> None:
        """Put a blob at its path, or in the job's folder if another job has another blob there."""
        if path.startswith("command/"):
            path = f"jobs/{self.job_id}/{path}"
        elif path.startswith("env/"):
            path = f"env/{sha256}.txt"
        elif path.startswith("fcl/") and "/path/" not in path:
            return
        super().keep(path, sha256, mode=mode)

    def shell(self, path: str, lines: list[str]) -> None:
        """Keep a list."""
        if path in _SECTIONS:
            self.lists[_SECTIONS[path]] = lines


@dataclass
class _Common:
    """What the payloads of all jobs share."""

    shelf: Shelf
    repositories: dict[str, str]


def make_campaign(
    jobs: Iterable[Ingredients],
    reader: Reader,
    write_blob: WriteBlob,
    *,
    name: str,
    level: str | None = None,
) -> Plan:
    """The plan of the bundle of these jobs; for the other arguments see `make_plan`.

    Raises:
        BundleError: there are no jobs, too many, or two with one id; or the level is unknown.
    """
    ceiling, top = ceiling_of(level), plain_name(name, "campaign")
    draft = Draft(reader, write_blob)
    common = _Common(Shelf(top), {})
    planned: list[_JobPayload] = []
    for ingredients in jobs:
        if len(planned) == MOST_JOBS:
            raise BundleError(
                f"A bundle holds at most {MOST_JOBS} jobs; ask for a task or a part of it."
            )
        if not plain_name(RecordPart(ingredients.record).text("job_id"), ""):
            raise BundleError("A bundle of many jobs takes only jobs whose id is a UUID.")
        payload = _JobPayload(ingredients, draft, top, ceiling, common)
        fill(payload, has_logs=False)
        planned.append(payload)
    job_ids = {payload.job_id for payload in planned}
    if not planned or len(job_ids) < len(planned):
        raise BundleError("A bundle of many jobs needs at least one, and each once.")
    planned.sort(key=lambda payload: payload.job_id)
    return _finished(draft, planned, name=name, top=top, ceiling=ceiling)


def _finished(
    draft: Draft, planned: Sequence[_JobPayload], *, name: str, top: str, ceiling: int
) -> Plan:
    needs = Needs()
    reached = ceiling
    for payload in planned:
        needs.add_all(payload.needs)
        reached = min(reached, payload.needs.level())
    mtime = max(bundle_time(payload.ingredients) for payload in planned)
    _add_lists(draft, planned)
    rows = [_row(payload) for payload in planned]
    draft.add("data/jobs.tsv", tsv(_COLUMNS, rows))
    draft.add("data/NEEDS.tsv", needs.table())
    facts = {"@COUNT@": str(len(planned)), "@NAME@": percent(name), "@LEVEL@": f"L{reached}"}
    draft.add("data/README.txt", filled(template(EDITION, "README-campaign.txt"), facts))
    add_programs(Payload(planned[0].ingredients, draft, top, ceiling, EDITION))
    draft.add("data/ro-crate-metadata.json", campaign_crate(planned, name, mtime))
    job_ids = "".join(f"{payload.job_id}\n" for payload in planned)
    add_bag(
        draft,
        identifier=f"urn:jobprov:jobs:{hashlib.sha256(job_ids.encode()).hexdigest()}",
        spec_version=SPEC_VERSION,
        level=reached,
        mtime=mtime,
    )
    return finished_plan(draft, name, revision=0, top=top, level=reached, mtime=mtime)


def _row(payload: _JobPayload) -> tuple[str, ...]:
    record = payload.record
    stage = record.part("task").text("stage")
    level = f"L{min(payload.level, payload.needs.level())}"
    return (payload.job_id, record.text("state"), stage, level, record.text("ended_at"))


def _add_lists(draft: Draft, planned: Sequence[_JobPayload]) -> None:
    """Write the record and the lists of every job; what lists share is written once."""
    common = _common_variables(planned)
    for payload in planned:
        sections = {
            "paths": [_shared(draft, payload.lists["paths"])],
            "layout": _layout(draft, payload),
            "times": payload.lists["times"],
            "environment": _environment(draft, payload, common),
            "programs": [_shared(draft, payload.lists["programs"])],
            "steps": payload.lists["steps"],
            "job": payload.lists["job"],
            "expected": payload.lists["expected"],
        }
        lines = ["case $section in"]
        for name, body in sections.items():
            lines.append(f"{name})")
            lines += [line for line in body if line]
            lines.append(";;")
        lines.append("esac")
        draft.add(f"data/jobs/{payload.job_id}.sh", _text(lines))
        draft.add(f"data/jobs/{payload.job_id}.json", payload.ingredients.record_bytes)


def _common_variables(planned: Sequence[_JobPayload]) -> dict[str, str]:
    """The variables that have the same value in all jobs."""
    common = dict(planned[0].variables)
    for payload in planned:
        for name in list(common):
            if payload.variables.get(name) != common[name]:
                del common[name]
    return common


def _layout(draft: Draft, payload: _JobPayload) -> list[str]:
    """The job's own lines of the layout, between those that other jobs may have too."""
    own, others = [], []
    for line in payload.layout:
        if line.startswith(_OWN_LINES):
            own.append(line)
        else:
            others.append(line)
    return [_shared(draft, others), *own, _shared(draft, payload.link_lines())]


def _environment(draft: Draft, payload: _JobPayload, common: dict[str, str]) -> list[str]:
    """The job's variables: those that all jobs have in common in a list, then its own."""
    shared = {name: word for name, word in common.items() if name != "PATH"}
    own = dict(payload.variables)
    path = own.pop("PATH")
    for name in shared:
        del own[name]
    if "PATH" in common:
        return [_shared(draft, variable_lines(path, shared)), *variable_lines(None, own)]
    return [_shared(draft, variable_lines(None, shared)), *variable_lines(path, own)]


def _shared(draft: Draft, lines: list[str]) -> str:
    """Write a list once, whichever jobs share it; return the line by which a job uses it."""
    if not lines:
        return ""
    data = _text(lines)
    name = hashlib.sha256(data).hexdigest()[:16]
    draft.add(f"data/lists/{name}.sh", data)
    return f'. "$here/lists/{name}.sh"'


def _text(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
