"""`jobprov capsule`: keeps the environment of a release and registers it with the release.

The environment is kept as far as the release's jobs touch it.
"""

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    opened_service,
    opens_service,
    settings_with,
)
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.reruns.capsules import RegisteredCapsule
from jobprov.provenance.db.queries.reruns.capsules import registered_capsules
from jobprov.provenance.records.verdicts import LEVELS, REPRODUCED
from jobprov.provenance.services.reruns.capsule_making import CapsuleReport, make_capsule
from jobprov.provenance.services.reruns.capsules import (
    find_capsule,
    register_capsule,
    store_capsule,
)
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.traced_capsules import make_traced_capsule, read_trace

if TYPE_CHECKING:
    from jobprov.app.wiring import Service

_PIECE = 1 << 20
_SHOWN = 50
_COLUMNS: Columns[RegisteredCapsule] = {
    "EXPERIMENT": lambda capsule: capsule.experiment,
    "NAME": lambda capsule: capsule.name,
    "STAGES": lambda capsule: ", ".join(capsule.stages),
    "BYTES": lambda capsule: capsule.size_bytes,
    "SHA256": lambda capsule: capsule.sha256,
}


@click.group(cls=Group)
def capsule() -> None:
    """Keep the environments of releases, and register them, so that bundles name them."""


@capsule.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument(
    "tars",
    metavar="[TAR]...",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--from-trace",
    "jobs",
    multiple=True,
    help="A job that was recorded by `run --trace`; may be repeated.",
)
@click.option("--experiment", help="The experiment of the job, where several have it.")
@data_option
@json_option
def make(
    *,
    folder: Path,
    tars: tuple[Path, ...],
    jobs: tuple[str, ...],
    experiment: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Run bundles again under strace where their release still is.

    Keep every file that they touch outside in FOLDER.

    Then each runs again inside FOLDER: exit code 0 where all come out as recorded and nothing that
    a job touched is missing, else 1. More bundles may be added later. With --from-trace the files
    are those that the jobs themselves touched, out of the archive; what it lacks is taken from this
    machine, if that has the release.
    """
    if jobs:
        report = _make_from_traces(folder, tars, jobs, experiment=experiment, data=data)
    elif tars:
        report = make_capsule(folder, tars, apart())
    else:
        raise click.UsageError("Name bundles of jobs, or jobs by --from-trace.")
    emit(report._asdict(), _report_text(folder, report), as_json=as_json)
    are_reproduced = all(level in REPRODUCED for level in report.levels.values())
    sys.exit(int(not (are_reproduced and report.is_whole)))


def _make_from_traces(
    folder: Path,
    tars: Sequence[Path],
    jobs: Sequence[str],
    *,
    experiment: str | None,
    data: str | None,
) -> CapsuleReport:
    with opened_service(settings_with(data=data)) as service:
        with service.reading() as connection:
            traces = []
            for job in jobs:
                traces.append(read_trace(connection, service.store, job, experiment=experiment))
        return make_traced_capsule(folder, traces, service.store, tars, apart())


def _report_text(folder: Path, report: CapsuleReport) -> str:
    lines = []
    for name, level in report.levels.items():
        meaning = LEVELS.get(level or "", "not started, or nothing to compare")
        lines.append(f"{name}: {level or '-'} inside the capsule, {meaning}")
    lines.append(
        f"{folder}: {report.files} files, {report.size_bytes} bytes; {report.added} are new."
    )
    lines += _listed(report.left_out, "missing, since it is private or looks like a secret")
    lines += _listed(report.missing, "missing, since its bytes are neither held nor here")
    lines += [f"note: {note}" for note in report.notes]
    lines.append(f"Rerun inside it: sh run.sh --capsule {folder}/data/root OUT")
    return "\n".join(lines)


def _listed(paths: Sequence[str], why: str) -> list[str]:
    lines = [f"{why}: {path}" for path in paths[:_SHOWN]]
    if len(paths) > _SHOWN:
        lines.append(f"{why}: {len(paths) - _SHOWN} more; missing.tsv and left-out.tsv list all")
    return lines


@capsule.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--job",
    "jobs",
    multiple=True,
    required=True,
    help="A job of the release: one of each stage that it serves.",
)
@click.option("--name", help="What the capsule is called; the name of PATH by default.")
@click.option("--experiment", help="The experiment of the job, where several have it.")
@opens_service
def add(
    *,
    path: Path,
    jobs: tuple[str, ...],
    name: str | None,
    experiment: str | None,
    service: "Service",
    as_json: bool,
) -> None:
    """Keep an environment in the archive: the folder of a capsule, or a container image in one file.

    It serves all jobs with the same software as the named ones.

    Bundles of these jobs, in the same stages, then reach level L3 and name the capsule by digest.
    """
    stored = store_capsule(service.store, path)
    answer = service.write(
        lambda writing: register_capsule(
            writing,
            stored,
            name=name or path.resolve().name,
            jobs=jobs,
            experiment=experiment,
        ),
        received_at=datetime.now(UTC),
    )
    change = "is registered" if answer.is_new else "was registered already"
    text = (
        f"Capsule {answer.name} {change}: {answer.size_bytes} bytes, sha256 {answer.sha256}.\n"
        "`jobprov serve` grades its jobs anew, `jobprov work` does so now."
    )
    emit(answer, text, as_json=as_json)


@capsule.command("list")
@opens_service
def list_them(*, service: "Service", as_json: bool) -> None:
    """List the registered capsules, newest first."""
    with service.reading() as connection:
        capsules = registered_capsules(connection)
    text = table(capsules, _COLUMNS) if capsules else "No capsule is registered."
    emit(capsules, text, as_json=as_json)


@capsule.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@opens_service
def get(*, name: str, file: Path, service: "Service", as_json: bool) -> None:
    """Write the newest capsule of this NAME to FILE.

    The image, or a tar whose data/root is the environment.
    """
    with service.reading() as connection:
        registered = find_capsule(connection, name)
    with service.store.open(registered.sha256) as stored, file.open("wb") as target:
        shutil.copyfileobj(stored, target, _PIECE)
    text = f"{file}: {registered.size_bytes} bytes, sha256 {registered.sha256}."
    emit({**asdict(registered), "file": str(file)}, text, as_json=as_json)


COMMANDS = {"capsule": capsule}
EXAMPLES = {
    "capsule make": ("jobprov capsule make alma9 reco-4.tar gen-4.tar",),
    "capsule add": ("jobprov capsule add alma9.sif --job 81238.4@sched01.fnal.gov",),
    "capsule list": ("jobprov capsule list",),
    "capsule get": ("jobprov capsule get alma9 alma9.sif",),
}
