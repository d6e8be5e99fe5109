"""`jobprov catalog` and `jobprov declare`: file catalogs beside the jobs, and tasks whose inputs a catalog has."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    experiment_option,
    json_option,
    opened_service,
    settings_with,
    url_option,
)
from jobprov.provenance.lineage.words import counted, number

_LISTED = 10


@click.group(cls=Group)
def catalog() -> None:
    """Compare tasks with SAM or MetaCat."""


@catalog.command()
@click.option(
    "--experiment", help="Only this one; all that the file of JOBPROV_CATALOGS names by default."
)
@click.option("--task", "task_id", help="Only this task.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86_400),
    default=600,
    show_default=True,
    help="Stop after these.",
)
@click.option(
    "--everything",
    is_flag=True,
    help="Ask also for units of which an output is known: files may be retired.",
)
@data_option
@json_option
def sync(
    *, experiment: str | None, task_id: str | None, data: str | None, as_json: bool, **how: Any
) -> None:
    """Bring what the catalogs know of declared tasks into the database; for cron.

    It goes on where the last one stopped.

    Exit code 3 where a catalog was not reached; what was found by then is kept.
    """
    from jobprov.provenance.catalogs.opening import read_catalogs  # noqa: PLC0415
    from jobprov.provenance.services.catalogs.sync import sync_experiment  # noqa: PLC0415

    settings = settings_with(data=data)
    catalogs = read_catalogs(settings.catalogs)
    done: list[dict[str, Any]] = []
    with opened_service(settings) as service:
        for name in [experiment] if experiment else sorted(catalogs):
            found = sync_experiment(
                service.database,
                service.writer,
                service.store,
                catalogs,
                name,
                task_id=task_id,
                **how,
            )
            done += [{"experiment": name, **each._asdict()} for each in found]
    emit({"tasks": done}, "\n".join(_synced(done)), as_json=as_json)
    sys.exit(3 if any(each["problem"] for each in done) else 0)


@catalog.command()
@click.argument("task_id", metavar="ID")
@experiment_option
@url_option
@json_option
def differences(*, task_id: str, experiment: str | None, url: str | None, as_json: bool) -> None:
    """List where the jobs of task ID and its catalog differ. Exit code 1 where they do."""
    found = client_for(url).task_catalog(task_id, experiment=experiment)
    emit(found, "\n".join(_difference_lines(found)), as_json=as_json)
    sys.exit(1 if found["differences"] else 0)


@catalog.command()
@click.argument("task_id", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(["plain", "sam"]), default="plain", show_default=True
)
@experiment_option
@url_option
@json_option
def draining(
    *, task_id: str, form: str, experiment: str | None, url: str | None, as_json: bool
) -> None:
    """List the inputs of task ID of which the catalog knows no output.

    Exit code 1 where there are any.
    """
    client = client_for(url)
    units = client.draining_units(task_id, experiment=experiment)["draining"]
    if form == "plain" or as_json:
        emit({"draining": units}, "\n".join(units), as_json=as_json)
    else:
        click.echo(client.draining_units(task_id, experiment=experiment, form=form), nl=False)
    sys.exit(1 if units else 0)


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("--experiment", required=True, help="Whose task it is.")
@click.option("--campaign", help="Its campaign.")
@click.option("--stage", help="Its stage.")
@click.option(
    "--units",
    type=click.File(encoding="utf-8"),
    help="The inputs, one a line; - for standard input.",
)
@click.option("--count", type=click.IntRange(0), help="How many units, of a stage without inputs.")
@click.option("--sam-definition", help="The inputs that SAM has by this definition now.")
@click.option("--sam-snapshot", type=click.IntRange(1), help="The inputs of this snapshot of SAM.")
@click.option(
    "--metacat-dataset", help="The inputs that MetaCat has in this dataset (namespace:name) now."
)
@click.option("--query", help="The inputs that these dimensions, or this MQL, select now.")
@click.option(
    "--catalog-url",
    help="Ask this catalog from here, under your credentials, instead of the service's.",
)
@click.option(
    "--outputs-per-unit", type=click.IntRange(0, 1000), help="Files expected of each unit."
)
@click.option(
    "--output",
    "output_metadata",
    multiple=True,
    help="NAME=VALUE that the catalog says of its outputs.",
)
@click.option("--project", help="The SAM project that hands the inputs out.")
@url_option
@json_option
def declare(*, task_id: str, url: str | None, as_json: bool, **said: Any) -> None:
    """Declare task ID: what is to be made. The list of inputs is frozen by that."""
    document = _declaration(said)
    if said["catalog_url"]:
        document = {**document, **_fetched(document.get("units"), said["catalog_url"])}
    answer = client_for(url).declare_task(task_id, document)
    units = answer.get("unit_count")
    how_many = "" if units is None else f" with {counted(units, 'unit')}"
    emit(
        answer,
        f"Task {task_id} is declared{how_many}{'' if answer['is_new'] else ', as before or anew'}.",
        as_json=as_json,
    )


def _declaration(said: Mapping[str, Any]) -> dict[str, Any]:
    source = {
        name: said[option]
        for name, option in (
            ("definition", "sam_definition"), ("snapshot_id", "sam_snapshot"), ("dataset", "metacat_dataset"),
            ("query", "query"),
        )
        if said[option] is not None
    }  # fmt: skip
    listed = [line.strip() for line in said["units"] if line.strip()] if said["units"] else None
    given = [units for units in (listed, said["count"], source or None) if units is not None]
    if len(given) > 1 or len(source) > 1:
        raise click.UsageError(
            "Say once where the inputs come from: a file, a count, or one of the catalog's lists."
        )
    names = ("experiment", "campaign", "stage", "outputs_per_unit", "project")
    document = {name: said[name] for name in names if said[name] is not None}
    pairs = dict(word.partition("=")[::2] for word in said["output_metadata"])
    if "" in pairs or "" in pairs.values():
        raise click.UsageError("--output takes NAME=VALUE.")
    return {
        **document,
        **({"units": given[0]} if given else {}),
        **({"output_metadata": pairs} if pairs else {}),
    }


def _fetched(units: Any, catalog_url: str) -> dict[str, Any]:
    """Return the frozen list, asked for from here with the user's own certificate or token."""
    from jobprov.provenance.catalogs.http import Access  # noqa: PLC0415
    from jobprov.provenance.catalogs.metacat import MetaCat  # noqa: PLC0415
    from jobprov.provenance.catalogs.sam import Sam  # noqa: PLC0415
    from jobprov.provenance.services.catalogs.frozen_units import fetch_units  # noqa: PLC0415
    from jobprov.provenance.services.tasks.declarations import (  # noqa: PLC0415
        Declaration,
        UnitSource,
        read_declaration,
    )

    if not isinstance(units, dict):
        raise click.UsageError(
            "--catalog-url needs one of the catalog's lists, such as --sam-definition."
        )
    declared: Declaration = read_declaration({"experiment": "any", "units": units})
    source = declared.units
    assert isinstance(source, UnitSource)  # noqa: S101 - the only reading of a dictionary
    token_file = os.environ.get("BEARER_TOKEN_FILE", "")
    token = (
        Path(token_file).read_text(encoding="ascii").strip()
        if token_file and Path(token_file).is_file()
        else None
    )
    access = Access(
        catalog_url,
        token,
        os.environ.get("X509_USER_PROXY") if catalog_url.startswith("https:") else None,
    )
    is_metacat = source.dataset is not None or "/sam/" not in catalog_url
    return fetch_units(MetaCat(access) if is_metacat else Sam(access), source)


def _synced(done: list[dict[str, Any]]) -> Iterator[str]:
    for each in done:
        state = "compared whole" if each["is_whole"] else "goes on next time"
        yield (
            f"{each['experiment']} {each['task_id']}: {counted(each['units'], 'unit')} asked about, "
            f"{counted(each['outputs'], 'output')} found, {state}"
        )
        if each["problem"]:
            yield f"    {each['problem']}"
    if not done:
        yield "No catalog is named (JOBPROV_CATALOGS), or no task is declared."


def _difference_lines(found: Mapping[str, Any]) -> Iterator[str]:
    if found["synced_at"] is None:
        yield "Not compared with its catalog yet: an operator runs `jobprov catalog sync`."
        return
    units = found["units"]
    of = "" if units["expected"] is None else f" of {number(units['expected'])}"
    yield f"The catalog knows outputs of {number(units['in_catalog'])}{of} units, as of {found['synced_at'][:16]} UTC."
    if found["problem"]:
        yield f"What it could not be asked since: {found['problem']}"
    for kind in found["differences"]:
        yield f"{number(kind['count']):>7}  {kind['kind']}: {kind['meaning']}"
        for file in kind["files"][:_LISTED]:
            where = ", ".join(word for word in (file["batch_id"], file["node"]) if word)
            yield f"         {file['name']}" + (f"  ({where})" if where else "")
        if kind["count"] > _LISTED:
            yield f"         and {number(kind['count'] - _LISTED)} more; --json lists them"
    for unit in found["silent"][:_LISTED]:
        words = f"process {unit['process_id']}, {unit['batch_id'] or 'no batch id'} on {unit['node'] or 'an unknown node'}"
        yield f"  no job is heard of for {unit['unit']}: {words}, {unit['status']}"
    if not found["differences"]:
        yield "Jobs and catalog say the same."


COMMANDS = {"catalog": catalog, "declare": declare}
