"""`jobprov product`: which registered repository an installed product is built from.

It works on the database directly, for operators.
"""

from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, opens_service
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.code import MappedProduct, Products, UnmappedProduct
from jobprov.provenance.services.code.products import list_products, map_product, unmap_product
from jobprov.provenance.software.product_tags import DEFAULT_TEMPLATE

if TYPE_CHECKING:
    from jobprov.app.wiring import Service

_LISTED = 20
_MAPPED: Columns[MappedProduct] = {
    "PRODUCT": lambda product: product.name,
    "OF": lambda product: product.manager,
    "REPOSITORY": lambda product: product.repository,
    "BY": lambda product: "its name" if product.is_by_name else "map",
    "REF": lambda product: "usual ones" if product.is_by_name else product.ref,
    "LISTS": lambda product: product.lists,
    "VERSIONS": lambda product: product.versions,
    "RESOLVED": lambda product: product.resolved,
}
_UNMAPPED: Columns[UnmappedProduct] = {
    "PRODUCT": lambda product: product.name,
    "OF": lambda product: product.manager,
    "LISTS": lambda product: product.lists,
    "VERSIONS": lambda product: product.versions,
}


@click.group(cls=Group)
def product() -> None:
    """Map an installed product (UPS, Spack) to the repository that it is built from.

    Its source is then found by its version.
    """


@product.command("map")
@click.argument("name")
@click.argument("repository")
@click.option(
    "--manager", default="", help="Only the product of this manager: ups, spack and so on."
)
@click.option(
    "--ref",
    default=DEFAULT_TEMPLATE,
    show_default=True,
    metavar="TEMPLATE",
    help=(
        "The tag of a version: {version} as recorded, {dotted} (1.2.3), {underscored} (1_2_3), "
        "both without a leading v; {name}."
    ),
)
@opens_service
def map_it(
    *, name: str, repository: str, manager: str, ref: str, service: "Service", as_json: bool
) -> None:
    """Note that product NAME is built from the registered REPOSITORY.

    Its versions are then looked for in the background.
    """
    count = service.write(
        lambda writing: map_product(
            writing, name, repository, manager=manager, template=ref
        )
    )  # fmt: skip
    answer = {
        "name": name,
        "manager": manager or None,
        "repository": repository,
        "ref": ref,
        "waiting": count,
    }
    entries = "1 software entry waits" if count == 1 else f"{count} software entries wait"
    text = (
        f"Product {name} is built from {repository}, its versions as tags {ref}. {entries}. "
        "The service now looks there for the code of jobs; `jobprov work` does so at once."
    )
    emit(answer, text, as_json=as_json)


@product.command("list")
@opens_service
def list_them(*, service: "Service", as_json: bool) -> None:
    """List products with a known repository and their versions that are not found; then the others."""
    with service.reading() as connection:
        products = list_products(connection)
    emit(products, "\n".join(_lines(products)), as_json=as_json)


def _lines(products: Products) -> list[str]:
    lines = [table(products.mapped, _MAPPED) if products.mapped else "No product is mapped."]
    for row in products.mapped:
        for unresolved in row.unresolved[:_LISTED]:
            version = unresolved.version or "(no version)"
            lines.append(f"{row.name} {version}: {unresolved.reason}.")
        if len(row.unresolved) > _LISTED:
            more = len(row.unresolved) - _LISTED
            lines.append(f"{row.name}: {more} more versions; --json has all.")
    if products.unmapped:
        lines += ["", "Named by records and not mapped (jobprov product map NAME REPOSITORY):"]
        lines.append(table(products.unmapped[:_LISTED], _UNMAPPED))
    if len(products.unmapped) > _LISTED:
        lines.append(f"{len(products.unmapped) - _LISTED} more; --json has all.")
    return lines


@product.command()
@click.argument("name")
@click.option("--manager", default=None, help="Only what was noted for this manager.")
@opens_service
def unmap(*, name: str, manager: str | None, service: "Service", as_json: bool) -> None:
    """Forget what product NAME is built from.

    Code that was resolved by it stays, marked as inferred.
    """
    count = service.write(lambda writing: unmap_product(writing, name, manager))
    emit(
        {"name": name, "removed": count}, f"Product {name} is not mapped any more.", as_json=as_json
    )


COMMANDS = {"product": product}
EXAMPLES = {
    "product map": ("jobprov product map toysim toyexp --manager ups --ref '{version}'",),
    "product list": ("jobprov product list",),
    "product unmap": ("jobprov product unmap toysim",),
}
