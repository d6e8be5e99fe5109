"""Orders as jobs that a launcher can start: what to run, with which files, under the hook.

It runs where orders are submitted, and knows the service over HTTP alone. What a workflow ships is
fetched by digest, once; bundles are those of the recorded jobs; the ticket of a task lets its jobs
record and nothing else.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError, ProvenanceError
from jobprov.provenance.launchers.job import BatchJob, LaunchEnd
from jobprov.provenance.launchers.resubmitting import HOOK, SCRIPT, TICKET
from jobprov.provenance.launchers.scripts import retry_script
from jobprov.provenance.launchers.workflow import Stage, Workflow, fill, read_workflow

_PIECE = 1 << 20


class NotHereYetError(ProvenanceError):
    """A file that a job reads has not come to the storage yet."""


@dataclass
class Workshop:
    """Where jobs are made of orders.

    Attributes:
        client: of the service.
        experiment: whose orders.
        folder: for what is fetched and noted; the launcher's folders of jobs lie in its `jobs`.
        hook: the built hook.
        needs_tickets: whether jobs need one to record.
        names_jobs: whether jobs get the order's id as theirs: where no batch system names them.
    """

    client: Client
    experiment: str
    folder: Path
    hook: Path
    needs_tickets: bool
    names_jobs: bool
    _workflows: dict[tuple[str, int], tuple[Workflow, dict[str, str]]] = field(default_factory=dict)

    def make(self, order: Mapping[str, Any]) -> BatchJob:
        """Return the job of an order, and note what it will make.

        Raises:
            NotHereYetError: a file that it reads has not come to the storage yet.
            NotFoundError: what it ships, or its bundle, is gone.
        """
        return self._stage_job(order) if order.get("workflow") else self._repeated_job(order)

    def bring_home(self, end: LaunchEnd) -> str | None:
        """Copy what a good job made to the storage, with the sidecars.

        Return what is wrong, None where nothing is.
        """
        note = self._note(end.name)
        if not note.is_file():
            return None
        said = json.loads(note.read_text(encoding="utf-8"))
        if not end.is_success or said["storage"] is None:
            return None
        storage = Path(said["storage"])
        storage.mkdir(parents=True, exist_ok=True)
        for name in said["outputs"]:
            if not (end.folder / name).is_file():
                return f"it ended well and did not make {name}"
            # The file itself comes last: whoever sees it sees its sidecar
            for file in (
                f"{name}.json",
                name,
            ):
                if (end.folder / file).is_file():
                    _copy(end.folder / file, storage / file)
        return None

    def order(self, name: str) -> dict[str, Any] | None:
        """Return the order that a job was made of here; None where it was not."""
        note = self._note(name)
        return (
            dict(json.loads(note.read_text(encoding="utf-8"))["order"]) if note.is_file() else None
        )

    def tidy(self, open_names: Collection[str], *, days: float) -> int:
        """Remove what nobody touched for so many days; return the number of jobs.

        That is folders and notes of jobs that are over, and bundles.
        """
        before = time.time() - days * 86_400
        old = [
            note for note in (self.folder / "notes").glob("*.json") if note.stat().st_mtime < before
        ]
        over = [note for note in old if note.stem not in open_names]
        for note in over:
            shutil.rmtree(self.folder / "jobs" / note.stem, ignore_errors=True)
            note.unlink()
        for bundle in (self.folder / "bundles").glob("*.tar"):
            if bundle.stat().st_mtime < before:
                bundle.unlink()
        return len(over)

    def _stage_job(self, order: Mapping[str, Any]) -> BatchJob:
        workflow, digests = self._workflow(*order["workflow"])
        stage = workflow.stage(order["stage"])
        values = words_of(stage, order)
        outputs = values["outputs"]
        storage = Path(workflow.storage) if workflow.storage else None
        inputs = (
            [storage / _bare(stage, name) for name in order.get("inputs", ())] if storage else []
        )
        if missing := [path for path in inputs if not path.is_file()]:
            raise NotHereYetError(f"{missing[0]} is not there (yet).")
        shipped = [self._shipped(name, digests[name]) for name in stage.shipped()]
        ticket = self._ticket(order["task_id"])
        self._write_note(order, outputs, storage)
        told = self._told(order) | {"JOBPROV_OUTPUT": "\n".join(outputs)}
        if storage:
            told["JOBPROV_INPUT"] = "\n".join(path.name for path in inputs)
        command = [word for text in stage.command for word in expand(text, values)]
        return BatchJob(
            name=order["order_id"],
            argv=("python3", HOOK, "run", "--", *command),
            environment={**stage.environment, **told, **ticket[1]},
            inputs=(self.hook, *shipped, *inputs),
            contents=ticket[0],
            wall_limit_seconds=stage.wall_seconds,
            memory_bytes=order.get("memory_bytes"),
            avoided_sites=tuple(order.get("avoided_sites", ())),
        )

    def _repeated_job(self, order: Mapping[str, Any]) -> BatchJob:
        job_id = order["bundle_of"]
        bundle = self.folder / "bundles" / f"{job_id}.tar"
        if not bundle.is_file():
            bundle.parent.mkdir(parents=True, exist_ok=True)
            self.client.save_bundle(job_id, bundle, experiment=self.experiment)
        ticket = self._ticket(order["task_id"])
        self._write_note(order, [], None)
        return BatchJob(
            name=order["order_id"],
            argv=("sh", SCRIPT, bundle.name),
            environment={**self._told(order), **ticket[1]},
            inputs=(self.hook, bundle),
            contents={SCRIPT: retry_script(), **ticket[0]},
            memory_bytes=order.get("memory_bytes"),
            avoided_sites=tuple(order.get("avoided_sites", ())),
        )

    def _told(self, order: Mapping[str, Any]) -> dict[str, str]:
        told = {
            "JOBPROV_URL": self.client.url,
            "JOBPROV_EXPERIMENT": self.experiment,
            "JOBPROV_TASK_ID": order["task_id"],
            "JOBPROV_STAGE": order.get("stage"),
            "JOBPROV_CAMPAIGN": order.get("campaign"),
            "JOBPROV_UNIT": order["unit"],
            "JOBPROV_RETRY_OF": order.get("retry_of"),
            "JOBPROV_JOB_ID": order["order_id"] if self.names_jobs else None,
            "JOBPROV_ANNOUNCE": "1",
        }
        return {name: value for name, value in told.items() if value}

    def _workflow(self, name: str, version: int) -> tuple[Workflow, dict[str, str]]:
        if (name, version) not in self._workflows:
            shown = self.client.workflow(name, experiment=self.experiment, version=version)
            self._workflows[name, version] = (read_workflow(shown["text"]), shown["files"])
        return self._workflows[name, version]

    def _shipped(self, name: str, sha256: str) -> Path:
        file = self.folder / "files" / sha256 / name
        if not file.is_file():
            content = self.client.get_blob(sha256)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise NotFoundError(
                    f"{name}: the service sent other bytes than {sha256}; ask its operator to "
                    "check the archive."
                )
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(f".{name}.part")
            part.write_bytes(content)
            part.chmod(0o755)
            part.replace(file)
        return file

    def _ticket(self, task_id: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return the file with the ticket of a task and the variable that names it.

        There is neither where none is needed.
        """
        if not self.needs_tickets:
            return {}, {}
        file = self.folder / "tickets" / hashlib.sha256(task_id.encode()).hexdigest()
        if not file.is_file():
            ticket = self.client.issue_ticket(task_id, self.experiment).ticket
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
                stream.write(ticket)
        return {TICKET: file.read_text(encoding="ascii")}, {"JOBPROV_TOKEN_FILE": TICKET}

    def _write_note(
        self, order: Mapping[str, Any], outputs: list[str], storage: Path | None
    ) -> None:
        note = self._note(order["order_id"])
        note.parent.mkdir(parents=True, exist_ok=True)
        said = {
            "order": dict(order),
            "outputs": outputs,
            "storage": str(storage) if storage else None,
        }
        part = note.with_suffix(".part")
        part.write_text(json.dumps(said), encoding="utf-8")
        part.replace(note)

    def _note(self, name: str) -> Path:
        return self.folder / "notes" / f"{name}.json"


def words_of(stage: Stage, order: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the words in braces of a stage's command stand for, for one order."""
    names = [_bare(stage, name) for name in order.get("inputs", ())]
    values: dict[str, Any] = {"unit": order["unit"], "inputs": names}
    if stage.configuration:
        values["configuration"] = stage.configuration
    if len(names) == 1:
        last = names[0].rpartition("/")[2]
        values |= {"input": names[0], "stem": last.rpartition(".")[0] or last}
    if order.get("part"):
        values |= {name: order["part"][name] for name in ("skip", "events", "part")}
    values["outputs"] = [fill(name, values) for name in stage.outputs]
    if len(stage.outputs) == 1:
        values["output"] = values["outputs"][0]
    return values


def expand(text: str, values: Mapping[str, Any]) -> list[str]:
    """Return the words that one word of a command stands for.

    A list where it is `{inputs}` or `{outputs}` alone.
    """
    for name in ("inputs", "outputs"):
        if text == f"{{{name}}}":
            return list(values[name])
    plain = {
        name: " ".join(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
    return [fill(text, plain)]


def _bare(stage: Stage, name: str) -> str:
    """Return the name of an input without its namespace; an address stays whole.

    Only a list in the workflow may have a namespace.
    """
    return name if stage.files is None or "://" in name else name.rpartition(":")[2]


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with source.open("rb") as reading, part.open("wb") as writing:
        while piece := reading.read(_PIECE):
            writing.write(piece)
    part.replace(target)
