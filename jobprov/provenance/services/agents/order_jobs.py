"""Orders as jobs that a launcher can start: what to run, with which files, under the hook.

This runs where orders are submitted, and reaches the service over HTTP alone. Files that a workflow
ships are fetched by digest, once. A retry runs the bundle of the recorded job. The ticket of a task
lets its jobs record and nothing else.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Required, TypedDict

import msgspec

from jobprov.provenance.answers.orders.orders import TakenOrder
from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError, ProvenanceError
from jobprov.provenance.launchers.job import BatchJob, LaunchEnd
from jobprov.provenance.launchers.resubmitting import (
    HOOK,
    PLACES,
    SCRIPT,
    TICKET,
    FileCommands,
    KnownPlace,
    places_table,
    returned_places,
)
from jobprov.provenance.launchers.scripts import retry_script
from jobprov.provenance.launchers.workflow import Stage, Workflow, fill, read_workflow
from jobprov.provenance.services.agents.retry_outputs import RETURNED, bring_retry_home, has_outputs

_PIECE = 1 << 20


class NotHereYetError(ProvenanceError):
    """A file that a job reads has not come to the storage yet."""


class JobNote(msgspec.Struct):
    """What is noted of a job on disk when it is made, so that its end can be reported.

    Attributes:
        outputs: names of the files that it is to make.
        storage: the folder where they go; None where the job copies them itself.
    """

    order: TakenOrder
    outputs: list[str]
    storage: str | None


class ShippedWorkflow(NamedTuple):
    """A workflow as declared, and the SHA-256 of each file that it ships."""

    workflow: Workflow
    digests: Mapping[str, str]


class JobTicket(NamedTuple):
    """The ticket of a task as a job gets it; empty where none is needed.

    Attributes:
        contents: the file with the ticket.
        environment: the variable that names the file.
    """

    contents: Mapping[str, str]
    environment: Mapping[str, str]


@dataclass
class Workshop:
    """Where jobs are made of orders.

    Attributes:
        client: of the service.
        experiment: whose orders.
        folder: for what is fetched and noted; the launcher's folders of jobs are in its `jobs`.
        hook: the built hook.
        needs_tickets: whether jobs need one to record.
        names_jobs: whether jobs get the order's id as theirs: where no batch system names them.
        output_dir: for what retries make, where nothing says where the job's own stage-out put it;
            without it, that stays in the jobs' folders.
        commands: how retries reach files that cp, http and xrdcp cannot.
    """

    client: Client
    experiment: str
    folder: Path
    hook: Path
    needs_tickets: bool
    names_jobs: bool
    output_dir: Path | None = None
    commands: FileCommands = field(default_factory=FileCommands)
    _workflows: dict[tuple[str, int], ShippedWorkflow] = field(default_factory=dict)

    def make(self, order: TakenOrder) -> BatchJob:
        """Return the job of an order, and note what it will make.

        Raises:
            NotHereYetError: a file that it reads has not come to the storage yet.
            NotFoundError: what it ships, or its bundle, is gone.
        """
        if order.workflow is not None:
            return self._stage_job(order, self._workflow(*order.workflow))
        return self._repeated_job(order)

    def bring_home(self, end: LaunchEnd) -> str | None:
        """Copy what a good job made to the storage, with the sidecars.

        Return what is wrong, None where nothing is.
        """
        note = self._read_note(end.name)
        if note is not None and note.order.bundle_of is not None:
            return bring_retry_home(end.folder / RETURNED, self.output_dir)
        if note is None or note.storage is None or not end.is_success:
            return None
        storage = Path(note.storage)
        storage.mkdir(parents=True, exist_ok=True)
        for name in note.outputs:
            if not (end.folder / name).is_file():
                return f"it ended well and did not make {name}"
            # The file itself comes last: whoever sees it sees its sidecar
            for file_name in (f"{name}.json", name):
                if (end.folder / file_name).is_file():
                    _copy(end.folder / file_name, storage / file_name)
        return None

    def order(self, name: str) -> TakenOrder | None:
        """Return the order that a job was made of here; None where it was not."""
        note = self._read_note(name)
        return None if note is None else note.order

    def tidy(self, open_names: Collection[str], *, days: float) -> int:
        """Remove old bundles, and folders and notes of jobs long over; return how many jobs.

        They are old if nobody touched them for so many days.
        """
        before = time.time() - days * 86_400
        removed = 0
        for note in (self.folder / "notes").glob("*.json"):
            if note.stat().st_mtime < before and note.stem not in open_names:
                if has_outputs(self.folder / "jobs" / note.stem / RETURNED):
                    continue  # of a retry, and nowhere else
                shutil.rmtree(self.folder / "jobs" / note.stem, ignore_errors=True)
                note.unlink()
                removed += 1
        for bundle in (self.folder / "bundles").glob("*.tar"):
            if bundle.stat().st_mtime < before:
                bundle.unlink()
        return removed

    def _stage_job(self, order: TakenOrder, shipped: ShippedWorkflow) -> BatchJob:
        """Return the job of a stage of a workflow."""
        stage = shipped.workflow.stage(order.stage or "")
        storage = Path(shipped.workflow.storage) if shipped.workflow.storage else None
        inputs = _stored_inputs(stage, order, storage)
        values = words_of(stage, order)
        command = []
        for text in stage.command:
            command += expand(text, values)
        environment = {**stage.environment, **self._variables(order)}
        environment["JOBPROV_OUTPUT"] = "\n".join(values["outputs"])
        if storage:
            environment["JOBPROV_INPUT"] = "\n".join(path.name for path in inputs)
        files = [self._shipped(name, shipped.digests[name]) for name in stage.shipped()]
        ticket = self._ticket(order.task_id)
        self._write_note(JobNote(order, values["outputs"], str(storage) if storage else None))
        return BatchJob(
            name=order.order_id,
            argv=("python3", HOOK, "run", "--", *command),
            environment={**environment, **ticket.environment},
            inputs=(self.hook, *files, *inputs),
            contents=ticket.contents,
            wall_limit_seconds=stage.wall_seconds,
            memory_bytes=order.memory_bytes,
            avoided_sites=tuple(order.avoided_sites),
        )

    def _repeated_job(self, order: TakenOrder) -> BatchJob:
        """Return the job that runs the bundle of a recorded one."""
        job_id = order.bundle_of or ""
        bundle = self._bundle(job_id)
        outside = self.client.outside_inputs(self.experiment, [job_id]).inputs
        places = []
        for file in outside:
            for place in file.places:
                places.append(KnownPlace(file.job_id, "input", file.name, place))
        for submission in self.client.submissions(self.experiment, [job_id]):
            places += returned_places(submission.job_id, submission.ad or {})
        arguments = ["--home", RETURNED]
        if self.output_dir is not None:
            arguments += ["--output-dir", str(self.output_dir)]
        ticket = self._ticket(order.task_id)
        self._write_note(JobNote(order, [], None))
        return BatchJob(
            name=order.order_id,
            argv=("sh", SCRIPT, *arguments, bundle.name),
            environment={
                **self._variables(order),
                **self.commands.variables(),
                **ticket.environment,
            },
            inputs=(self.hook, bundle),
            contents={SCRIPT: retry_script(), PLACES: places_table(places), **ticket.contents},
            returned=(RETURNED,),
            memory_bytes=order.memory_bytes,
            avoided_sites=tuple(order.avoided_sites),
        )

    def _variables(self, order: TakenOrder) -> dict[str, str]:
        """Return the variables by which the hook knows what the job is for."""
        variables = {
            "JOBPROV_URL": self.client.url,
            "JOBPROV_EXPERIMENT": self.experiment,
            "JOBPROV_TASK_ID": order.task_id,
            "JOBPROV_STAGE": order.stage,
            "JOBPROV_CAMPAIGN": order.campaign,
            "JOBPROV_UNIT": order.unit,
            "JOBPROV_RETRY_OF": order.retry_of,
            "JOBPROV_JOB_ID": order.order_id if self.names_jobs else None,
            "JOBPROV_ANNOUNCE": "1",
        }
        return {name: value for name, value in variables.items() if value}

    def _workflow(self, name: str, version: int) -> ShippedWorkflow:
        if (name, version) not in self._workflows:
            standing = self.client.workflow(name, experiment=self.experiment, version=version)
            self._workflows[name, version] = ShippedWorkflow(
                read_workflow(standing.text), standing.files
            )
        return self._workflows[name, version]

    def _bundle(self, job_id: str) -> Path:
        """Return the bundle of a recorded job, fetched where it is not here yet."""
        bundle = self.folder / "bundles" / f"{job_id}.tar"
        if not bundle.is_file():
            bundle.parent.mkdir(parents=True, exist_ok=True)
            self.client.save_bundle(job_id, bundle, experiment=self.experiment)
        return bundle

    def _shipped(self, name: str, sha256: str) -> Path:
        """Return a file that a workflow ships, fetched where it is not here yet."""
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

    def _ticket(self, task_id: str) -> JobTicket:
        """Return the ticket of a task, issued where it is not here yet."""
        if not self.needs_tickets:
            return JobTicket({}, {})
        file = self.folder / "tickets" / hashlib.sha256(task_id.encode()).hexdigest()
        if not file.is_file():
            ticket = self.client.issue_ticket(task_id, self.experiment).ticket
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Nobody else may read it, not even for the moment before a chmod
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
                stream.write(ticket)
        return JobTicket({TICKET: file.read_text(encoding="ascii")}, {"JOBPROV_TOKEN_FILE": TICKET})

    def _write_note(self, note: JobNote) -> None:
        file = self._note_file(note.order.order_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Killed in between, it leaves no half note that the next start could not read
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(note))
        part.replace(file)

    def _read_note(self, name: str) -> JobNote | None:
        file = self._note_file(name)
        if not file.is_file():
            return None
        return msgspec.json.decode(file.read_bytes(), type=JobNote)

    def _note_file(self, name: str) -> Path:
        return self.folder / "notes" / f"{name}.json"


def _stored_inputs(stage: Stage, order: TakenOrder, storage: Path | None) -> list[Path]:
    """Return where the storage has the inputs of an order; none without a storage.

    Raises:
        NotHereYetError: one of them is not there.
    """
    if storage is None:
        return []
    inputs = [storage / _bare(stage, name) for name in order.inputs]
    for path in inputs:
        if not path.is_file():
            raise NotHereYetError(f"{path} is not there (yet).")
    return inputs


class StageWords(TypedDict, total=False):
    """What the words in braces of a stage's command stand for, for one order.

    Attributes:
        stem: the name of the one input, without folder and extension.
        skip, events, part: see `Part`.
    """

    unit: Required[str]
    inputs: Required[list[str]]
    outputs: list[str]
    configuration: str
    input: str
    stem: str
    output: str
    skip: int
    events: int
    part: int


def words_of(stage: Stage, order: TakenOrder) -> StageWords:
    """Return what the words in braces of a stage's command stand for, for one order."""
    names = [_bare(stage, name) for name in order.inputs]
    values: StageWords = {"unit": order.unit, "inputs": names}
    if stage.configuration:
        values["configuration"] = stage.configuration
    if len(names) == 1:
        last = names[0].rpartition("/")[2]
        values["input"] = names[0]
        values["stem"] = last.rpartition(".")[0] or last
    if order.part is not None:
        values["skip"] = order.part["skip"]
        values["events"] = order.part["events"]
        values["part"] = order.part["part"]
    values["outputs"] = [fill(name, values) for name in stage.outputs]
    if len(stage.outputs) == 1:
        values["output"] = values["outputs"][0]
    return values


def expand(text: str, values: StageWords) -> list[str]:
    """Return the words that one word of a command stands for.

    `{inputs}` or `{outputs}` alone stands for as many words as there are files.
    """
    if text == "{inputs}":
        return list(values["inputs"])
    if text == "{outputs}":
        return list(values["outputs"])
    plain = {}
    for name, value in values.items():
        plain[name] = " ".join(value) if isinstance(value, list) else value
    return [fill(text, plain)]


def _bare(stage: Stage, name: str) -> str:
    """Return the name of an input without its namespace; an address stays whole.

    Only a list in the workflow may have a namespace.
    """
    return name if stage.files is None or "://" in name else name.rpartition(":")[2]


def _copy(source: Path, target: Path) -> None:
    # Jobs that wait for the file see it whole or not at all
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with source.open("rb") as reading, part.open("wb") as writing:
        while piece := reading.read(_PIECE):
            writing.write(piece)
    part.replace(target)
