"""`jobprov sidecar`: what stands beside outputs for a catalog.

`check` finds out whether the task id reached the catalog, or a converter dropped it; `complete` adds
parents whose namespaces the hook could not know.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.catalog_access import own_access
from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, experiment_option, json_option
from jobprov.provenance.answers.lookup.files import Relative
from jobprov.provenance.capture.files.sidecar import replace
from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.metacat import MetaCat
from jobprov.provenance.catalogs.sam import Sam
from jobprov.provenance.client import Client
from jobprov.provenance.errors import AmbiguousError, BadInputError, NotFoundError

_TAKEN = re.compile(r"[A-Za-z0-9_./-]+")
Document = Mapping[str, object]
"""A JSON object that somebody else wrote."""

_OURS = ("prov.job_id", "prov.task_id", "prov.output")


class _CatalogOption(NamedTuple):
    """Which catalog is asked, by its address; neither where both are None."""

    metacat: str | None
    namespace: str | None
    token: str | None
    sam: str | None


class _Sidecar(NamedTuple):
    """What a sidecar says.

    Attributes:
        content: the whole document, in the form of MetaCat or of SAM.
        metadata: the part with the keys of the catalog; of SAM's form that is all of it.
    """

    content: Document
    metadata: Document


class _Result(NamedTuple):
    """What was found out about the sidecar of a file.

    Attributes:
        lost: keys of the sidecar that the catalog does not have.
    """

    file: str
    sidecar: str
    problems: list[str]
    lost: list[str]


class _Completion(NamedTuple):
    """Which parents a sidecar got, by namespace and name, and which it could not get."""

    file: str
    added: list[str]
    problems: list[str]


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
    help=(
        "Ask this SAM what arrived, with your proxy or bearer token; the address ends in "
        "/sam/EXPERIMENT/api."
    ),
)
@click.option("--declad", is_flag=True, help="Tell also what declad would put into quarantine.")
@json_option
def check(*, files: tuple[Path, ...], declad: bool, as_json: bool, **catalog: Any) -> None:
    """Check the sidecars of FILEs, outputs or the sidecars themselves.

    With a catalog, whether it kept what they say.

    Exit code 1 where a sidecar or a catalog lacks what the file's history needs.
    """
    option = _CatalogOption(**catalog)
    results = []
    for file in files:
        result = _check(file, option)
        if declad:
            result.problems.extend(_declad_problems(file))
        results.append(result)
    text = "\n".join(_line(result) for result in results)
    emit([result._asdict() for result in results], text, as_json=as_json)
    if any(result.problems for result in results):
        sys.exit(1)


@sidecar.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@experiment_option
@asks_service
def complete(
    *, files: tuple[Path, ...], experiment: str | None, client: Client, as_json: bool
) -> None:
    """Add to the sidecars of FILEs the parents that the service knows by namespace and name.

    The hook leaves out parents of which it knows no namespace. After `jobprov catalog sync`, the
    service knows those that are in the catalog.

    Exit code 1 where a sidecar still lacks a parent, or cannot be completed.
    """
    completions = [_complete(file, client, experiment) for file in files]
    text = "\n".join(_completion_line(completion) for completion in completions)
    emit([completion._asdict() for completion in completions], text, as_json=as_json)
    if any(completion.problems for completion in completions):
        sys.exit(1)


def _complete(file: Path, client: Client, experiment: str | None) -> _Completion:
    path = _path_of(file)
    name = path.name.removesuffix(".json")
    try:
        sidecar = _read(path)
    except (OSError, ValueError) as problem:
        return _Completion(name, [], [f"the sidecar cannot be read: {problem}"])
    if sidecar is None or sidecar.metadata is sidecar.content:
        return _Completion(name, [], ["the sidecar is not one for MetaCat"])
    try:
        parents = _recorded_parents(sidecar, client, experiment, name)
    except (AmbiguousError, BadInputError, NotFoundError) as problem:
        return _Completion(name, [], [str(problem)])
    added, problems = _add_parents(path, sidecar.content, parents)
    return _Completion(name, added, problems)


def _add_parents(
    path: Path, content: Document, parents: Sequence[Relative]
) -> tuple[list[str], list[str]]:
    """Add parents to a sidecar; return which were added, and why others were not."""
    own = (content.get("namespace"), content.get("name"))
    listed = content.get("parents")
    known = list(listed) if isinstance(listed, list) else []
    dids = {_did(parent) for parent in known}
    added: list[str] = []
    problems: list[str] = []
    for parent in parents:
        entry = {"namespace": parent.namespace, "name": parent.name}
        did = _did(entry)
        if did in dids:
            continue
        why_not = _parent_problem(entry, own)
        if why_not is not None:
            problems.append(f"the parent {parent.name} is left out: {why_not}")
            continue
        dids.add(did)
        known.append(entry)
        added.append(did)
    if added:
        text = json.dumps({**content, "parents": known}, indent=1, sort_keys=True)
        replace(str(path), f"{text}\n".encode())
    return added, problems


def _recorded_parents(
    sidecar: _Sidecar, client: Client, experiment: str | None, name: str
) -> list[Relative]:
    """Return the parents of the version of a file that the job of its sidecar made.

    Raises:
        NotFoundError, AmbiguousError: the service does not know it, or several of the name.
        BadInputError: the sidecar's job made no version.
    """
    born_as = str(sidecar.metadata.get("prov.output") or sidecar.content.get("name") or name)
    file = client.file(born_as, experiment=experiment)
    job_id = sidecar.metadata.get("prov.job_id")
    for version in file.versions:
        if version.job.job_id == job_id:
            return client.file(born_as, experiment=experiment, version=version.number).parents
    raise BadInputError(f"The service has no {born_as} of the job {job_id}; send its record first.")


def _did(parent: Any) -> str:
    """Return the name of a parent; '' if it is named by a catalog's own id."""
    if not isinstance(parent, dict):
        return ""
    return str(parent.get("did") or f"{parent.get('namespace')}:{parent.get('name')}")


def _completion_line(completion: _Completion) -> str:
    parts = [*completion.problems]
    if completion.added:
        parts.insert(0, f"added {', '.join(completion.added)}")
    return f"{completion.file}: {'; '.join(parts) or 'nothing to add'}"


def _path_of(file: Path) -> Path:
    """Return the sidecar of an output, or the sidecar itself.

    Raises:
        BadInputError: it is a folder.
    """
    if not file.name:
        raise BadInputError(f"{file} is a folder; name an output or its sidecar.")
    return file if file.suffix == ".json" else file.with_name(file.name + ".json")


def _check(file: Path, option: _CatalogOption) -> _Result:
    path = _path_of(file)
    name = path.name.removesuffix(".json")
    try:
        sidecar = _read(path)
    except OSError as problem:
        why = f"the sidecar cannot be read: {problem.strerror}"
        return _Result(name, str(path), [why], [])
    except ValueError as problem:
        return _Result(name, str(path), [f"the sidecar cannot be read: {problem}"], [])
    if sidecar is None:
        return _Result(name, str(path), ["the sidecar is not a JSON object"], [])
    problems, lost = _own_problems(path, sidecar), list[str]()
    if option.metacat or option.sam:
        try:
            cataloged = _metadata_in_catalog(name, sidecar, option)
        except (BadInputError, NotFoundError) as problem:
            problems.append(str(problem).rstrip("."))
            problems += _unknown_parents(sidecar.content, option)
        else:
            lost = sorted(key for key in sidecar.metadata if "." in key and key not in cataloged)
            problems += _catalog_problems(sidecar.metadata, cataloged)
    return _Result(name, str(path), problems, lost)


def _read(path: Path) -> _Sidecar | None:
    """Return what a sidecar says; None where it is no JSON object.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        return None
    metadata = content.get("metadata")
    return _Sidecar(content, metadata if isinstance(metadata, dict) else content)


def _own_problems(path: Path, sidecar: _Sidecar) -> list[str]:
    content, metadata = sidecar
    problems = [f"the sidecar has no {key}" for key in _OURS if not metadata.get(key)]
    if metadata is not content:
        for key in metadata:
            if "." not in key:
                problems.append(f"MetaCat refuses the key {key!r}, which has no dot")
        problems += _name_problems(content)
    output = path.with_name(path.name.removesuffix(".json"))
    size = content.get("size", content.get("file_size"))
    if output.is_file() and isinstance(size, int) and output.stat().st_size != size:
        problems.append(f"the file has {output.stat().st_size} bytes, the sidecar says {size}")
    return problems


def _declad_problems(file: Path) -> list[str]:
    """Return why declad, as it is by default, would not declare a file.

    Source: `MoverTask.run` of fermitools/declad, and its converters of SAM's form, which take no
    parents without an id and drop keys that they do not know.
    """
    try:
        sidecar = _read(_path_of(file))
    except (OSError, ValueError):
        return []  # told already
    if sidecar is None:
        return []
    content, metadata = sidecar
    if metadata is content:
        return ["declad drops keys of ours from a sidecar in SAM's form, or refuses it"]
    problems = []
    if not {"runs", "core.runs", "rs.runs"} & {*content, *metadata}:
        problems.append("declad quarantines a file without core.runs")
    size, checksums = content.get("size"), content.get("checksums")
    if not isinstance(size, int) or size <= 0:
        problems.append(f"declad quarantines a file of size {size}")
    if not isinstance(checksums, dict) or not checksums.get("adler32"):
        problems.append("declad fails at a file without checksum adler32, again and again")
    return problems


def _name_problems(content: Document) -> list[str]:
    """Return why MetaCat would refuse names in a sidecar of its form."""
    name, namespace = content.get("name"), content.get("namespace")
    problems = []
    for what, text in (("name", name), ("namespace", namespace)):
        if isinstance(text, str) and text and not _TAKEN.fullmatch(text):
            problems.append(f"MetaCat takes no such {what}: {text!r}")
    parents = content.get("parents")
    for parent in parents if isinstance(parents, list) else ():
        problem = _parent_problem(parent, (namespace, name))
        if problem is not None:
            problems.append(f"MetaCat refuses the parent {json.dumps(parent)}: {problem}")
    return problems


def _parent_problem(parent: Any, own: tuple[Any, Any]) -> str | None:
    """Return why MetaCat refuses a parent whatever it knows; None where it may take it."""
    if isinstance(parent, str):
        return None  # a file id, in the older form
    if not isinstance(parent, dict):
        return "it is not an object"
    if "fid" in parent:
        return None
    namespace, name = parent.get("namespace"), parent.get("name")
    if "did" in parent:
        namespace, _, name = str(parent["did"]).partition(":")
    if not namespace or not name:
        return "it needs a namespace and a name, or a did"
    if not (_TAKEN.fullmatch(str(namespace)) and _TAKEN.fullmatch(str(name))):
        return "names have letters, digits, _, ., / and - alone"
    return "a file cannot be its own parent" if (namespace, name) == own else None


def _unknown_parents(content: Document, option: _CatalogOption) -> list[str]:
    """Return which parents of an undeclared file MetaCat does not know: it refuses the file."""
    if not option.metacat:
        return []
    parents = content.get("parents")
    if not isinstance(parents, list):
        return []
    dids = []
    for parent in parents:
        is_by_id = not isinstance(parent, dict) or "fid" in parent
        if not is_by_id and _parent_problem(parent, (None, None)) is None:
            dids.append(_did(parent))
    known = {file.name for file in _metacat(option).read_files(dids)}
    problems = []
    for did in dids:
        if did not in known:
            problems.append(
                f"MetaCat does not know the parent {did}, and refuses the file without it"
            )
    return problems


def _metacat(option: _CatalogOption) -> MetaCat:
    return MetaCat(Access(option.metacat or "", option.token, attempts=2))


def _metadata_in_catalog(name: str, sidecar: _Sidecar, option: _CatalogOption) -> Document:
    """Return the metadata that the catalog has of the file.

    Raises:
        NotFoundError: the catalog does not know the file.
    """
    content = sidecar.content
    name = str(content.get("name") or content.get("file_name") or name)
    if option.metacat:
        namespace = content.get("namespace") or option.namespace or ""
        return _metacat(option).read_metadata(f"{namespace}:{name}")
    return Sam(own_access(option.sam or "", attempts=2)).read_metadata(name)


def _catalog_problems(metadata: Document, cataloged: Document) -> list[str]:
    """Return which of our keys the catalog lost, then which it changed."""
    problems = []
    for key in _OURS:
        if key in metadata and key not in cataloged:
            problems.append(f"the catalog lost {key}")
    for key in _OURS:
        if key in metadata and key in cataloged and cataloged[key] != metadata[key]:
            problems.append(f"the catalog has another {key}: {cataloged[key]}")
    return problems


def _line(result: _Result) -> str:
    if result.problems:
        return f"{result.file}: " + "; ".join(result.problems)
    dropped = f"; the catalog dropped {', '.join(result.lost)}" if result.lost else ""
    return f"{result.file}: fine{dropped}"


COMMANDS = {"sidecar": sidecar}
EXAMPLES = {
    "sidecar check": ("jobprov sidecar check reco_0004.root.json --namespace toyexp",),
    "sidecar complete": ("jobprov sidecar complete reco_0004.root --experiment toyexp",),
}
