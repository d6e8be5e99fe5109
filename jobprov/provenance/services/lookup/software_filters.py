"""Reads filters on products: `larsoft=v09_88_00:e26:prof` becomes the entries that are it."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from sqlalchemy import Connection

from jobprov.provenance.db.queries.code.software import entries_named
from jobprov.provenance.db.queries.lookup.jobs.code_versions import release_products
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.services.lookup.file_names import name_file

_LEADING_LETTER = re.compile(r"\Av(?=\d)")


def named_filters(connection: Connection, filters: JobFilters) -> JobFilters:
    """Return the filters with the keys of the files and products that they name.

    Raises:
        NotFoundError, AmbiguousError, BadInputError: see `name_file`.
    """
    return name_software(connection, name_file(connection, filters))


def name_software(connection: Connection, filters: JobFilters) -> JobFilters:
    """Return the filters with a product's version and qualifiers replaced by its entries.

    `NAME=VERSION:QUALIFIERS` asks for a version (`*` stands for any letters) and for qualifiers, in
    any order; an entry may have more. UPS writes `v10_04_01` and `e26:prof`, Spack
    `10.04.01` and `+root cxxstd=17`; a version in the one form finds it in the other.
    """
    if filters.software is None or "=" not in filters.software:
        return filters
    name, _, wanted = filters.software.partition("=")
    version, _, qualifiers = wanted.partition(":")
    keys = set()
    for key, entry in entries_named(connection, name.strip()):
        if _is(entry, version.strip(), _words(qualifiers)):
            keys.add(key)
    if filters.software_keys is not None:
        keys &= filters.software_keys
    return filters._replace(software=None, software_keys=frozenset(keys))


def products_at(connection: Connection, version: str) -> list[str]:
    """Return the names of the products of releases that jobs used in a version."""
    names = []
    for name in release_products(connection):
        if any(_is(entry, version, ()) for _, entry in entries_named(connection, name)):
            names.append(name)
    return names


def _is(entry: Software, version: str, qualifiers: Iterable[str]) -> bool:
    product = entry.product
    versions = [entry.requested_ref, entry.describe]
    known_qualifiers: Iterable[str] = ()
    if product is not None:
        versions.append(product.version)
        known_qualifiers = _words(product.qualifiers or "")
    if not set(qualifiers) <= set(known_qualifiers):
        return False
    if not version:
        return True
    pattern = _dotted(version)
    return any(fnmatchcase(_dotted(known or ""), pattern) for known in versions)


def _dotted(version: str) -> str:
    """Return a version in the form of Spack."""
    return _LEADING_LETTER.sub("", version).replace("_", ".")


def _words(qualifiers: str) -> list[str]:
    return [word for word in qualifiers.replace(":", " ").split() if word]
