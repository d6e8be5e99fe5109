"""`jobprov bundle`, `rerun` and `verify`: the rerun bundle of a job, taken, run and compared."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import click

from app.commands.asking import client_for
from app.commands.opening import emit, experiment_option, json_option, url_option
from provenance.client import Client
from provenance.errors import BadInputError, BundleError


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it; ID.tar by default.")
@click.option("--plan", type=click.IntRange(1), help="An earlier plan; the newest by default.")
@click.option(
    "--level", type=click.Choice(["L0", "L1", "L2", "L3", "L4"]), help="Leave out what only a higher level holds."
)
@experiment_option
@url_option
@json_option
def bundle(*, job_id: str, output: Path | None, url: str | None, as_json: bool, **which: Any) -> None:
    """Write the rerun bundle of the job with this id."""
    target = output or Path(f"{Path(job_id).name}.tar")
    name = client_for(url).save_bundle(job_id, target, **which)
    text = f"{target} ({target.stat().st_size} bytes, plan and level {name}). Unpack it and read README.txt, or: jobprov rerun {target}"
    emit({"file": str(target), "size_bytes": target.stat().st_size, "etag": name}, text, as_json=as_json)


@click.command()
@click.argument("what", metavar="ID|TAR")
@click.option("--into", type=click.Path(path_type=Path), help="Folder for bundle and rerun; a new one by default.")
@click.option("--post/--no-post", default=False, help="Send the outcome to the service; it stays with the job.")
@experiment_option
@url_option
def rerun(*, what: str, into: Path | None, post: bool, experiment: str | None, url: str | None) -> None:
    """Run a job again from its bundle, in an empty folder, and compare: exit code 0 where all outputs are equal."""
    folder = into or Path(tempfile.mkdtemp(prefix="jobprov-rerun-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BadInputError(f"{folder} is not empty; name a new folder.", {"into": ["not empty"]})
    tar = Path(what)
    if not tar.is_file():
        tar = folder / "bundle.tar"
        client_for(url).save_bundle(what, tar, experiment=experiment)
    unpacked = unpack(tar, folder)
    out = (folder / "out").resolve()
    click.echo(f"Running {unpacked.name} in {out}")
    sys.stdout.flush()
    if subprocess.call(["sh", "run.sh", str(out)], cwd=unpacked / "data") != 0:
        click.echo("The rerun did not end as recorded, or a need is missing; it is compared all the same.", err=True)
    sys.exit(_compare(unpacked, out, client_for(url) if post else None))


@click.command()
@click.argument("tar", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def verify(*, tar: Path, folder: Path) -> None:
    """Compare the rerun in FOLDER with what the bundle TAR says the job made."""
    with tempfile.TemporaryDirectory(prefix="jobprov-verify-") as place:
        code = _compare(unpack(tar, Path(place)), folder.resolve(), None)
    sys.exit(code)


def unpack(tar: Path, folder: Path) -> Path:
    """Unpack a bundle below a folder; return the bundle's own folder.

    Raises:
        BundleError: it is no bundle, or holds a path that leads out of the folder.
    """
    try:
        with tarfile.open(tar) as archive:
            tops = {member.name.split("/", 1)[0] for member in archive.getmembers()}
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise BundleError(f"{tar} cannot be unpacked: {problem}.") from None
    found = folder / tops.pop() if len(tops) == 1 else folder
    if not (found / "data" / "run.sh").is_file():
        raise BundleError(f"{tar} is no bundle: there is no run.sh in it.")
    return found


def _compare(unpacked: Path, out: Path, client: Client | None) -> int:
    """Run the bundle's own comparison; send its report where asked. Return its exit code, at most 1."""
    report = unpacked.parent / f"verdict-{os.getpid()}.json"
    words = ["sh", "verify.sh", "--report", str(report.resolve()), str(out)]
    code = subprocess.call(words, cwd=unpacked / "data")
    if client is not None and report.is_file():
        posted = client.post_verdict(unpacked.name, json.loads(report.read_text(encoding="utf-8")))
        click.echo(f"Posted: {posted['level']}, {posted['meaning']}.")
    return min(code, 1)


COMMANDS = {"bundle": bundle, "rerun": rerun, "verify": verify}
