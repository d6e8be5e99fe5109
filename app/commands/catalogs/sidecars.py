"""`jobprov sidecar check`: did the task id reach the catalog, or did a converter drop it?"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, json_option
from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.metacat import MetaCat
from jobprov.provenance.catalogs.sam import Sam
from jobprov.provenance.errors import NotFoundError

_OURS = ("prov.job_id", "prov.task_id", "prov.output")


@click.group(cls=Group)
def sidecar() -> None:
    """Look after the `<output>.json` beside each output."""


@sidecar.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--metacat", metavar="URL", help="Ask this MetaCat what arrived.")
@click.option("--namespace", help="With --metacat, where the sidecar names none.")
@click.option("--token", envvar="METACAT_TOKEN", help="With --metacat; METACAT_TOKEN by default.")
@click.option(
    "--sam",
    metavar="URL",
    help="Ask this SAM what arrived; the address ends in /sam/EXPERIMENT/api.",
)
@json_option
def check(*, files: tuple[Path, ...], as_json: bool, **catalog: Any) -> None:
    """Check the sidecars of FILEs, outputs or the sidecars themselves.

    With a catalog, whether it kept what they say.

    Exit code 1 where a sidecar or a catalog lacks what the file's history needs.
    """
    results = [_check(file, catalog) for file in files]
    emit(results, "\n".join(_line(result) for result in results), as_json=as_json)
    if any(result["problems"] for result in results):
        sys.exit(1)


def _check(file: Path, catalog: dict[str, Any]) -> dict[str, Any]:
    path = file if file.suffix == ".json" else file.with_name(file.name + ".json")
    result: dict[str, Any] = {
        "file": path.name.removesuffix(".json"),
        "sidecar": str(path),
        "problems": [],
        "lost": [],
    }
    try:
        content = json.loads(path.read_bytes())
    except OSError as problem:
        return {**result, "problems": [f"the sidecar cannot be read: {problem.strerror}"]}
    except ValueError as problem:
        return {**result, "problems": [f"the sidecar cannot be read: {problem}"]}
    if not isinstance(content, dict):
        return {**result, "problems": ["the sidecar is no JSON object"]}
    metadata = content["metadata"] if isinstance(content.get("metadata"), dict) else content
    result["problems"] = _own_problems(path, content, metadata)
    if catalog["metacat"] or catalog["sam"]:
        _compare(result, content, metadata, catalog)
    return result


def _own_problems(path: Path, content: dict[str, Any], metadata: dict[str, Any]) -> list[str]:
    problems = [f"the sidecar has no {key}" for key in _OURS if not metadata.get(key)]
    if metadata is not content:
        problems += [
            f"MetaCat refuses the key {key!r}, which has no dot"
            for key in metadata
            if "." not in key
        ]
    output, size = (
        path.with_name(path.name.removesuffix(".json")),
        content.get("size", content.get("file_size")),
    )
    if output.is_file() and isinstance(size, int) and output.stat().st_size != size:
        problems.append(f"the file has {output.stat().st_size} bytes, the sidecar says {size}")
    return problems


def _compare(
    result: dict[str, Any],
    content: dict[str, Any],
    metadata: dict[str, Any],
    catalog: dict[str, Any],
) -> None:
    name = str(content.get("name") or content.get("file_name") or result["file"])
    try:
        if catalog["metacat"]:
            namespace = content.get("namespace") or catalog["namespace"] or ""
            kept = MetaCat(Access(catalog["metacat"], catalog["token"], attempts=2)).read_metadata(
                f"{namespace}:{name}"
            )
        else:
            kept = Sam(Access(catalog["sam"], attempts=2)).read_metadata(name)
    except NotFoundError as problem:
        result["problems"].append(str(problem))
        return
    result["lost"] = sorted(key for key in metadata if "." in key and key not in kept)
    result["problems"] += [f"the catalog lost {key}" for key in _OURS if key in result["lost"]]
    changed = [
        key for key in _OURS if key in metadata and key in kept and kept[key] != metadata[key]
    ]
    result["problems"] += [f"the catalog has another {key}: {kept[key]}" for key in changed]


def _line(result: dict[str, Any]) -> str:
    if result["problems"]:
        return f"{result['file']}: " + "; ".join(result["problems"])
    others = f"; the catalog dropped {', '.join(result['lost'])}" if result["lost"] else ""
    return f"{result['file']}: fine{others}"


COMMANDS = {"sidecar": sidecar}
