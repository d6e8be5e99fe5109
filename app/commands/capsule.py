"""`jobprov capsule`: keeps the environment of a release, as far as its jobs touch it, in a folder that reruns can live in."""

import sys
from pathlib import Path

import click

from app.commands.opening import emit, json_option
from provenance.records.verdicts import LEVELS, REPRODUCED
from provenance.services.isolation import apart
from provenance.services.make_capsule import make_capsule


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument(
    "tars", metavar="TAR...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
def capsule(*, folder: Path, tars: tuple[Path, ...], as_json: bool) -> None:
    """Run bundles again under strace where their release still is; keep every file that they touch outside in FOLDER.

    Then each runs again inside FOLDER: exit code 0 where all come out as recorded. More bundles may be added later.
    """
    report = make_capsule(folder, tars, apart())
    lines = [
        f"{name}: {level or '-'} inside the capsule, {LEVELS.get(level or '', 'not started')}"
        for name, level in report.levels.items()
    ]
    lines.append(f"{folder}: {report.files} files, {report.size_bytes} bytes; {report.added} are new.")
    lines += [f"left out, since not everybody may read it: {path}" for path in report.left_out]
    lines.append(f"Rerun inside it: sh run.sh --capsule {folder}/data/root OUT")
    emit(report._asdict(), "\n".join(lines), as_json=as_json)
    sys.exit(0 if all(level in REPRODUCED for level in report.levels.values()) else 1)


COMMANDS = {"capsule": capsule}
