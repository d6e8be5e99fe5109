"""`jobprov declare`: what a task is to make, with its list of inputs frozen."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.lookup.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, url_option
from jobprov.provenance.lineage.words import counted


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
    units = "" if answer.unit_count is None else f" with {counted(answer.unit_count, 'unit')}"
    again = "" if answer.is_new else ", as before or anew"
    emit(answer, f"Task {task_id} is declared{units}{again}.", as_json=as_json)


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


COMMANDS = {"declare": declare}
