"""One of two compared jobs: its current records, and what the service found out."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.comparisons.jobs import ComparedJob
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.records.job_record import UNTOLD
from jobprov.provenance.services.comparisons.differences import Record, keyed
from jobprov.provenance.services.lookup.job import read_job, show_job

_KEPT = (None, "written")


class JobSide(NamedTuple):
    """A job to be compared with another one.

    Attributes:
        head: the job in short, as the answer names it.
        record: the records of its witnesses together, with resolved commits, and pages of files.
    """

    head: ComparedJob
    record: Record

    @classmethod
    def read(
        cls, connection: Connection, store: Store, job_id: str, experiment: str | None
    ) -> Self:
        """Return a recorded job.

        Raises:
            NotFoundError: no such job is recorded.
            AmbiguousError: several experiments have it.
        """
        shown = show_job(connection, read_job(connection, store, job_id, experiment=experiment))
        record = {
            **shown.merged,
            "software": shown.software,
            "inputs": shown.inputs,
            "outputs": shown.outputs,
        }
        first_kept = None
        for file in shown.outputs:
            if file.get("status") in _KEPT:
                first_kept = full_name(file["name"], file.get("namespace"))
                break
        head = {
            **msgspec.to_builtins(shown.summary),
            "recipe_id": shown.recipe_id,
            "result_id": shown.result_id,
            "output": first_kept,
        }
        return cls(msgspec.convert(head, ComparedJob), msgspec.to_builtins(record))

    @property
    def configurations(self) -> Sequence[Record]:
        """The configurations of its steps."""
        return self.record.get("configurations") or ()

    def fcl_files(self) -> dict[str, str]:
        """Return the digests of the fcl files by name.

        Where steps read a name from different places, the step is added to the name.
        """
        digests: dict[str, str] = {}
        for entry in self.configurations:
            for file in entry.get("files") or ():
                name, digest = file["name"], file.get("sha256") or ""
                if digests.get(name, digest) != digest:
                    name = f"{name} ({entry.get('step')})"
                digests[name] = digest
        return digests

    def scripts(self) -> dict[str, str]:
        """Return the digests of the scripts by name.

        Scripts that the hook only happened to see are left out: in an equal job it may miss them.
        """
        recorded = []
        for script in self.record.get("scripts") or ():
            if script.get("evidence") not in UNTOLD:
                recorded.append(script)
        by_name = keyed(recorded, lambda script: script["name"])
        return {name: script.get("sha256") or "" for name, script in by_name.items()}
