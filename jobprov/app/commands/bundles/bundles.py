"""`jobprov bundle`, `rerun`, `verify`, `export`: take a job's rerun bundle, run it, compare it."""

import shlex
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from jobprov.app.commands.terminal.asking import asks_service, client_for
from jobprov.app.commands.terminal.opening import (
    OutputFile,
    emit,
    experiment_option,
    json_option,
    option_with_default,
    url_option,
)
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.provenance.bundle.description.exports import FORMS
from jobprov.provenance.client.client import Client
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.lineage.words import size
from jobprov.provenance.services.reruns import execution
from jobprov.provenance.services.reruns.isolation import Isolation, apart

_MOST_INPUTS, _MOST_PLACES = 20, 3


@click.command()
@click.argument("job_id", metavar="ID", required=False)
@click.option("--task", metavar="TASK_ID", help="One bundle of all jobs of this task instead.")
@click.option("--campaign", metavar="NAME", help="One bundle of all jobs of this campaign instead.")
@click.option("--stage", help="Only jobs of this stage of the campaign or task.")
@click.option("-o", "--output", type=OutputFile(), help="Where to write it; ID.tar by default.")
@click.option("--plan", type=click.IntRange(1), help="An earlier plan; the newest by default.")
@click.option(
    "--level",
    type=click.Choice(["L0", "L1", "L2", "L3", "L4"]),
    help="Leave out what only a higher level holds.",
)
@click.option(
    "--holey",
    "is_holey",
    is_flag=True,
    help="List inputs that are not here and have a URL in BagIt's fetch.txt.",
)
@click.option(
    "--locate",
    "is_located",
    is_flag=True,
    help="Ask the experiment's Rucio or SAM where inputs are now that are not here.",
)
@experiment_option
@asks_service
def bundle(
    *,
    job_id: str | None,
    task: str | None,
    campaign: str | None,
    stage: str | None,
    output: Path | None,
    plan: int | None,
    is_holey: bool,
    is_located: bool,
    client: Client,
    as_json: bool,
    **which: Any,
) -> None:
    """Write the rerun bundle of the job with this id, or of many jobs."""
    option, name = _asked_for({"ID": job_id, "--task": task, "--campaign": campaign})
    _check_options(job_id, stage=stage, is_for_one=bool(plan) or is_holey or is_located)
    target = output or Path(f"{Path(name).name}.tar")
    if option == "ID":
        with shown_progress(as_json=as_json):
            etag = client.save_bundle(
                name, target, plan=plan, is_holey=is_holey, is_located=is_located, **which
            )
        next_step = f"or: jobprov rerun {shlex.quote(str(target))}"
    else:
        save = client.save_task_bundle if option == "--task" else client.save_campaign_bundle
        with shown_progress(as_json=as_json):
            etag = save(name, target, stage=stage, **which)
        next_step = "and choose a job by sh run.sh --job ID OUT"
    size_bytes = target.stat().st_size
    text = (
        f"{target} ({size(size_bytes)}, plan and level {etag}). Unpack it and read README.txt, "
        f"{next_step}"
    )
    emit({"file": str(target), "size_bytes": size_bytes, "etag": etag}, text, as_json=as_json)


def _asked_for(options: Mapping[str, str | None]) -> tuple[str, str]:
    """Return the one option that was given, and its value.

    Raises:
        BadInputError: none was given, or several.
    """
    given = [(option, value) for option, value in options.items() if value is not None]
    if len(given) != 1:
        raise BadInputError(
            "Name one job, or one --task, or one --campaign.", {"job_id": ["name one thing"]}
        )
    return given[0]


def _check_options(job_id: str | None, *, stage: str | None, is_for_one: bool) -> None:
    is_for_many = bool(stage)
    if (is_for_many and job_id) or (is_for_one and not job_id):
        option = "stage" if is_for_many else "plan"
        raise BadInputError(
            "--stage is for many jobs; --plan, --holey and --locate are for one.",
            {option: ["not with this"]},
        )


@click.command()
@click.argument("what", metavar="ID|TAR")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="Folder for bundle and rerun; a new one by default.",
)
@click.option(
    "--input-dir",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where inputs lie that the bundle lacks.",
)
@click.option(
    "--program",
    "programs",
    multiple=True,
    metavar="NAME=FILE",
    help="Use FILE where the job names this program.",
)
@click.option(
    "--variable",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give the job this variable, such as one whose value was withheld.",
)
@click.option(
    "--apart",
    "is_apart",
    is_flag=True,
    help="With an empty environment and no network, as a drill does.",
)
@click.option(
    "--post/--no-post",
    default=False,
    help="Send the outcome to the service; it stays with the job.",
)
@experiment_option
@url_option
@json_option
def rerun(
    *,
    what: str,
    into: Path | None,
    input_dir: tuple[Path, ...],
    programs: tuple[str, ...],
    variables: tuple[str, ...],
    is_apart: bool,
    post: bool,
    experiment: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Run a job again from its bundle, in an empty folder, and compare.

    Exit code 0 where all outputs are equal.
    """
    if into is not None:
        _make_empty(into)
    folder, root = unpacked(what, into, experiment=experiment, url=url)
    out = (folder / "out").resolve()
    # With --json only the answer goes to stdout: these lines would break it
    report = partial(click.echo, err=as_json)
    report(f"Running {root.name} in {out}")
    isolation = apart() if is_apart else Isolation()
    result = execution.rerun(
        root,
        out,
        report,
        input_dirs=input_dir,
        programs=programs,
        variables=variables,
        isolation=isolation,
    )
    decision, verdict = None, None
    if result.verified is None:
        click.echo("The job was not started; see the lines above.", err=True)
        if not Path(what).is_file():
            for line in _places_of_inputs(client_for(url), root.name, experiment):
                click.echo(line, err=True)
    else:
        decision, verdict = result.verified.decision, result.verified.verdict
    posted = None
    if post and verdict is not None:
        posted = client_for(url).post_verdict(root.name, verdict.document())
        report(f"Posted: {posted.level}, {posted.meaning}.")
    if as_json:
        answer = {
            "job_id": root.name,
            "folder": str(out),
            "is_started": result.is_started,
            "exit_code": result.exit_code,
            "log": str(result.log),
            "decision": decision,
            "verdict": verdict,
            "posted": posted,
        }
        emit(answer, "", as_json=True)
    _exit_by(decision)


def _places_of_inputs(client: Client, job_id: str, experiment: str | None) -> list[str]:
    """Return where the inputs are that a bundle lacks, as records and the catalog say."""
    job = client.job(job_id, experiment=experiment)
    outside = client.outside_inputs(job.summary.experiment, [job_id])
    lines = []
    for file in outside.inputs[:_MOST_INPUTS]:
        if file.places:
            lines.append(f"{file.name} may be at {', '.join(file.places[:_MOST_PLACES])}")
    if len(outside.inputs) > _MOST_INPUTS:
        lines.append(f"{len(outside.inputs) - _MOST_INPUTS} more inputs are not in the bundle.")
    if lines:
        lines.append("Copy inputs into one folder, and name it with --input-dir.")
    if outside.problem:
        lines.append(outside.problem)
    return lines


def _make_empty(folder: Path) -> None:
    """Make the folder for bundle and rerun, if it is not there.

    Raises:
        BadInputError: it is not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BadInputError(f"{folder} is not empty; name a new folder.", {"into": ["not empty"]})


def _exit_by(decision: execution.Decision | None) -> NoReturn:
    sys.exit(int(decision != "equal"))


def unpacked(
    what: str, into: Path | None, *, experiment: str | None, url: str | None
) -> tuple[Path, Path]:
    """Unpack a bundle that lies here, or that the service builds, below `into` or a new folder.

    Return this folder and the bundle's own. A new one does not stay where there is no bundle.
    """
    folder = into or Path(tempfile.mkdtemp(prefix="jobprov-rerun-"))
    try:
        return folder, _unpack(what, folder, experiment=experiment, url=url)
    except BaseException:
        if into is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _unpack(what: str, folder: Path, *, experiment: str | None, url: str | None) -> Path:
    if Path(what).is_file():
        return _unpack_tar(Path(what), folder / "bundle")
    if what and Path(what).is_dir():
        raise BadInputError(
            f"{what} is a folder. Name the tar of a bundle; one that is unpacked runs by its own "
            "programs: sh run.sh OUT, in its folder data."
        )
    if what.endswith(".tar") or "/" in what:
        raise NotFoundError(f"There is no bundle {what} here. Name a file, or the id of a job.")
    tar = folder / "bundle.tar"
    client_for(url).save_bundle(what, tar, experiment=experiment)
    root = execution.unpack(tar, folder / "bundle")
    tar.unlink()
    return root


def _is_plain_tar(tar: Path) -> bool:
    try:
        tarfile.open(tar, "r:").close()
    except tarfile.TarError:
        return False
    return True


def _unpack_tar(tar: Path, folder: Path) -> Path:
    """Unpack a bundle that somebody named; return where it is.

    Raises:
        BadInputError: it is another file, such as a log.
    """
    if not tarfile.is_tarfile(tar):
        raise BadInputError(f"{tar} is no tar. Name the file that `jobprov bundle` wrote.")
    if not _is_plain_tar(tar):
        raise BadInputError(f"{tar} is a compressed tar. Uncompress it first (gunzip, unxz).")
    return execution.unpack(tar, folder)


@click.command()
@click.argument("tar", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def verify(*, tar: Path, folder: Path, as_json: bool) -> None:
    """Compare the rerun in FOLDER with the outputs that the bundle TAR lists, by its own verify.sh."""
    with tempfile.TemporaryDirectory(prefix="jobprov-verify-") as place:
        root = _unpack_tar(tar, Path(place) / "bundle")
        result = execution.verify(root, folder)
    emit(
        {"decision": result.decision, "verdict": result.verdict},
        "\n".join(result.lines),
        as_json=as_json,
    )
    _exit_by(result.decision)


@click.command()
@click.argument("job_id", metavar="ID")
@option_with_default("--format", click.Choice(list(FORMS)), "openlineage", to="form")
@experiment_option
@url_option
def export(*, job_id: str, form: str, experiment: str | None, url: str | None) -> None:
    """Print the job as PROV, OpenLineage or in-toto, as its bundle holds it."""
    click.echo(client_for(url).export(job_id, form, experiment=experiment), nl=False)


COMMANDS = {"bundle": bundle, "rerun": rerun, "verify": verify, "export": export}
EXAMPLES = {
    "bundle": (
        "jobprov bundle 81238.4@sched01.fnal.gov --output reco-4.tar",
        "jobprov bundle --campaign demo-2026 --experiment toyexp --output demo-2026.tar",
    ),
    "rerun": (
        "jobprov rerun 81238.4@sched01.fnal.gov --into again --post",
        "jobprov rerun 81238.4@sched01.fnal.gov --program python3=/usr/local/bin/python3.11",
    ),
    "verify": ("jobprov verify reco-4.tar again",),
    "export": ("jobprov export 81238.4@sched01.fnal.gov --format prov-json",),
}
