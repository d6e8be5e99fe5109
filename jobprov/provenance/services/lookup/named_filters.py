"""Replaces what filters of jobs name by keys: files, and products by version.

`larsoft=v09_88_00:e26:prof` becomes the entries that are it. A file is found by the rules of every
other question.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from sqlalchemy import Connection

from jobprov.provenance.db.queries.code.software import entries_named
from jobprov.provenance.db.queries.lookup.files.by_name import contents_with, find_files
from jobprov.provenance.db.queries.lookup.jobs.code_versions import release_products
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.files.checksums import normal_checksum
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.services.lookup.file import find_file

_LEADING_LETTER = re.compile(r"\Av(?=\d)")
_WITHOUT_FILE = "says of which file; name that too"
_SHORTEST_CHECKSUM = 4


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


def name_file(connection: Connection, filters: JobFilters) -> JobFilters:
    """Return filters in which the files that they name, and a checksum, are replaced by keys.

    Without `file_experiment`, a file of the jobs' own experiment goes first.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: an experiment, namespace or checksum of a file, and no file.
        LimitError: see `contents_with`.
    """
    if filters.file is None and filters.reads is None:
        _check_alone(filters)
        return filters
    file_key = _key_of(connection, filters, filters.file, "file")
    reads_key = _key_of(connection, filters, filters.reads, "reads")
    return filters._replace(
        file=None,
        reads=None,
        file_experiment=None,
        namespace=None,
        checksum=None,
        file_key=file_key,
        reads_key=reads_key,
        identity_keys=_identities(connection, filters.checksum, (file_key, reads_key)),
    )


def _identities(
    connection: Connection, checksum: str | None, files: Iterable[int | None]
) -> frozenset[int] | None:
    """Return the keys of the identities of files that have the checksum; None for no checksum.

    Raises:
        BadInputError: it is too short, or no record has the file with it.
    """
    if checksum is None:
        return None
    wanted = checksum.strip()
    if ":" not in wanted:
        wanted = f"sha256:{wanted}"
    wanted = normal_checksum(wanted)
    if len(wanted.partition(":")[2]) < _SHORTEST_CHECKSUM:
        problem = f"write at least {_SHORTEST_CHECKSUM} letters of it"
        raise BadInputError.of_field("checksum", problem)
    keys: set[int] = set()
    for file in files:
        if file is not None:
            keys |= contents_with(connection, file, wanted)
    if not keys:
        problem = (
            "no record has the file with it; `jobprov lookup` and the file's page list those seen"
        )
        raise BadInputError.of_field("checksum", problem)
    return frozenset(keys)


def _check_alone(filters: JobFilters) -> None:
    """Refuse the namespace or experiment of a file where no filter names the file."""
    of_file = {
        "file_experiment": filters.file_experiment,
        "namespace": filters.namespace,
        "checksum": filters.checksum,
    }
    given = [name for name, value in of_file.items() if value is not None]
    if given:
        problems = {name: [_WITHOUT_FILE] for name in given}
        raise BadInputError(f"{given[0]}: {_WITHOUT_FILE}.", problems)


def _key_of(
    connection: Connection, filters: JobFilters, name: str | None, parameter: str
) -> int | None:
    """Return the key of the file that a parameter names; None where it names none."""
    if name is None:
        return None
    experiment, namespace = filters.file_experiment, filters.namespace
    if experiment is None and filters.experiment is not None:
        # jobs may read files of other experiments, but their own goes first
        own = find_files(connection, name, experiment=filters.experiment, namespace=namespace)
        experiment = filters.experiment if own else None
    file = find_file(connection, name, experiment=experiment, namespace=namespace, of=parameter)
    return file.id
