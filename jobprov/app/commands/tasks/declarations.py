"""`jobprov declare`: what a task is to make, with its list of inputs frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click

from jobprov.app.commands.tasks.unit_lists import read_units
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.catalog_access import own_access
from jobprov.app.commands.terminal.opening import emit
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of `declare`; see its help."""

    experiment: str
    campaign: str | None
    stage: str | None
    units: TextIO | None
    count: int | None
    sam_definition: str | None
    sam_snapshot: int | None
    metacat_dataset: str | None
    query: str | None
    catalog_url: str | None
    outputs_per_unit: int | None
    output_patterns: tuple[str, ...]
    output_metadata: tuple[str, ...]
    project: str | None


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("--experiment", required=True, help="Whose task it is.")
@click.option("--campaign", help="Its campaign.")
@click.option("--stage", help="Its stage.")
@click.option(
    "--units",
    type=click.File(encoding="utf-8"),
    help="The inputs, one a line, by name, path or address; - for standard input.",
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
    "--output-pattern",
    "output_patterns",
    multiple=True,
    help="Names of the files that make a unit done, such as 'gen_*.root'; may be repeated.",
)
@click.option(
    "--output",
    "output_metadata",
    multiple=True,
    help="NAME=VALUE that the catalog says of its outputs.",
)
@click.option("--project", help="The SAM project that hands the inputs out.")
@asks_service
def declare(*, task_id: str, client: Client, as_json: bool, **given: Any) -> None:
    """Declare task ID: what is to be made. This freezes the list of inputs."""
    options = _Options(**given)
    document = _declaration(options)
    if options.catalog_url:
        document |= _fetched(document.get("units"), options.catalog_url)
    answer = client.declare_task(task_id, document)
    text = f"Task {task_id} is declared"
    if answer.unit_count is not None:
        text += f" with {counted(answer.unit_count, 'unit')}"
    else:
        text += " without a number of units (--units or --count)"
    if not answer.is_new:
        text += ", as before or anew"
    emit(answer, f"{text}.", as_json=as_json)


def _declaration(options: _Options) -> dict[str, object]:
    """Return the declaration that the options make.

    Raises:
        UsageError: they name more than one list of inputs, or an output's metadata has no value.
    """
    declared: dict[str, object] = {
        "experiment": options.experiment,
        "campaign": options.campaign,
        "stage": options.stage,
        "outputs_per_unit": options.outputs_per_unit,
        "project": options.project,
        "output_patterns": list(options.output_patterns) or None,
        "units": _units(options),
        "output_metadata": _output_metadata(options.output_metadata) or None,
    }
    return {name: value for name, value in declared.items() if value is not None}


def _output_metadata(pairs: Sequence[str]) -> dict[str, str]:
    metadata = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name or not value:
            raise click.UsageError("--output takes NAME=VALUE.")
        metadata[name] = value
    return metadata


def _units(options: _Options) -> list[str] | int | dict[str, str | int] | None:
    """Return the list of inputs, their number, or where a catalog has them; None without option."""
    choices: list[list[str] | int | dict[str, str | int]] = []
    if options.units is not None:
        choices.append(read_units(options.units))
    if options.count is not None:
        choices.append(options.count)
    in_catalog = {
        "definition": options.sam_definition,
        "snapshot_id": options.sam_snapshot,
        "dataset": options.metacat_dataset,
        "query": options.query,
    }
    choices += [{name: value} for name, value in in_catalog.items() if value is not None]
    if len(choices) > 1:
        raise click.UsageError(
            "Give the inputs once: as a file, a count, or one of the catalog's lists."
        )
    return choices[0] if choices else None


def _fetched(units: object, catalog_url: str) -> dict[str, object]:
    """Return the frozen list, asked for from here with the user's own certificate or token."""
    from jobprov.provenance.catalogs.metacat import MetaCat  # noqa: PLC0415
    from jobprov.provenance.catalogs.sam import Sam  # noqa: PLC0415
    from jobprov.provenance.selections.catalog_source import CatalogSource  # noqa: PLC0415
    from jobprov.provenance.services.catalogs.frozen_units import fetch_units  # noqa: PLC0415
    from jobprov.provenance.services.tasks.declarations import read_declaration  # noqa: PLC0415

    if not isinstance(units, dict):
        raise click.UsageError(
            "--catalog-url needs one of the catalog's lists, such as --sam-definition."
        )
    source = read_declaration({"experiment": "any", "units": units}).units
    assert isinstance(source, CatalogSource)  # noqa: S101 - the only reading of a dictionary
    access = own_access(catalog_url)
    is_metacat = source.dataset is not None or "/sam/" not in catalog_url
    catalog = MetaCat(access) if is_metacat else Sam(access)
    return {**fetch_units(catalog, source)}


COMMANDS = {"declare": declare}
EXAMPLES = {
    "declare": (
        "jobprov declare reco-0001 --experiment toyexp --campaign demo-2026 --stage reco --count 500",
        "jobprov declare reco-0001 --experiment toyexp --units inputs.txt --output-pattern 'reco_*.root'",
    ),
}
