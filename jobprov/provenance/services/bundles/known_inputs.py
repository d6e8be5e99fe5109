"""What only catalogs know of a job's files: their full names, and where copies are.

Full names and the places that transfer services posted (`POST /files`) are in the database. Where
copies are now is asked of Rucio and SAM only for a bundle that is to say so
(`catalogs/replicas.py`).
"""

import json
import posixpath
import re
from collections.abc import Mapping, Sequence

from ahocorasick_rs import BytesAhoCorasick
from sqlalchemy import Connection

from jobprov.provenance.bundle.ingredients import KnownFile
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.lookup.files.full_names import (
    full_names_of_inputs,
    full_names_of_outputs,
)
from jobprov.provenance.db.queries.lookup.jobs.details import input_files
from jobprov.provenance.db.queries.reruns.bundles import input_sightings
from jobprov.provenance.records.job_record import Input
from jobprov.provenance.services.lookup.job import ReadJob

MOST_PLACES = 5
"""Of an input: a bundle does not list thousands of copies."""
_ADDRESS = re.compile(rb"(?<!\w)\w+://[^\s\"'<>]{0,2300}")
Places = Mapping[int, Sequence[str]]
"""Addresses of copies, by position of the input."""


def known_inputs(connection: Connection, job: ReadJob, located: Places) -> dict[int, KnownFile]:
    """Return what catalogs know of the inputs of a job, by position; others are left out.

    `located` is where copies are now, as far as somebody asked; these places come first.
    """
    inputs = job.reading.record.inputs or []
    # Whoever asked where copies are may see inputs that are hidden from this connection
    seen = input_files(connection, job.found.key)
    names = full_names_of_inputs(connection, job.found.key)
    absent = absent_inputs(connection, job)
    sighted = _sighted_places(connection, job.found.key, absent)
    known = {}
    for position, file in enumerate(inputs):
        namespace, name = "", ""
        if position in names and not file.namespace:
            namespace, name = names[position]
        places: dict[str, None] = {}
        if position in absent and position in seen:
            places = dict.fromkeys([*located.get(position, ()), *sighted.get(position, ())])
        if namespace or places:
            known[position] = KnownFile(
                namespace=namespace, name=name, places=list(places)[:MOST_PLACES]
            )
    return known


def known_outputs(connection: Connection, job: ReadJob) -> dict[int, KnownFile]:
    """Return what catalogs know of the outputs of a job, by position; others are left out."""
    known = {}
    for position, full in full_names_of_outputs(connection, job.found.key).items():
        known[position] = KnownFile(namespace=full.namespace, name=full.name)
    return known


def shows_hidden_input(
    readable: Connection, everything: Connection, job: ReadJob, texts: bytes
) -> bool:
    """Return whether texts of a bundle hold what their reader may not know of an input.

    That is the full name of a file, or the address of a copy, as catalogs know them, of an
    experiment that is private now. It was open when the bundle was made, or whoever had the bundle
    made was one of its readers.
    """
    hidden = input_files(everything, job.found.key).keys() - input_files(readable, job.found.key)
    if not hidden:
        return False
    full_names = full_names_of_inputs(everything, job.found.key)
    inputs = job.reading.record.inputs or []
    words: set[str] = set()
    recorded_by_name: dict[str, set[str | None]] = {}
    for position in hidden:
        recorded = _recorded_words(inputs[position])
        names = {inputs[position].name}
        if position in full_names:
            words.update({*full_names[position]} - recorded)
            names.add(full_names[position].name)
        for name in names - {""}:
            # What stands in the records of all files of a name tells nothing of any of them
            of_others = recorded_by_name.get(posixpath.basename(name), recorded)
            recorded_by_name[posixpath.basename(name)] = recorded & of_others
    # As texts of their own: `nova` stands in many a path, too
    quoted = [json.dumps(word).encode() for word in words - {job.found.experiment, ""}]
    if BytesAhoCorasick(quoted).find_matches_as_indexes(texts):
        return True
    return _has_other_address(texts, recorded_by_name)


def _has_other_address(texts: bytes, recorded_by_name: Mapping[str, set[str | None]]) -> bool:
    """Return whether texts hold an address that ends in one of the names and is not recorded."""
    names = list(recorded_by_name)
    endings = BytesAhoCorasick([f"/{name}".encode() for name in names])
    for address in _ADDRESS.findall(texts):
        ends: dict[str, int] = {}
        for place, _, end in endings.find_matches_as_indexes(address, overlapping=True):
            ends[names[place]] = end  # the last one stands
        for name, end in ends.items():
            if address[:end].decode("utf-8", "replace") not in recorded_by_name[name]:
                return True
    return False


def _recorded_words(file: Input) -> set[str | None]:
    """Return what the record itself holds of an input, which every reader of the job may know."""
    return {file.namespace, file.name, file.path, file.location, file.experiment}


def absent_inputs(connection: Connection, job: ReadJob) -> dict[int, Input]:
    """Return the inputs that the job's experiment did not upload, by position."""
    inputs = job.reading.record.inputs or []
    digests = {file.sha256 for file in inputs if file.sha256}
    possessed = possessed_blobs(connection, job.found.experiment, digests)
    absent = {}
    for position, file in enumerate(inputs):
        if file.sha256 not in possessed:
            absent[position] = file
    return absent


def _sighted_places(
    connection: Connection, job: int, absent: Mapping[int, Input]
) -> dict[int, list[str]]:
    """Return where transfer services saw these inputs, by position, the newest first.

    A sighting of another size is of other bytes of that name.
    """
    places: dict[int, list[str]] = {}
    for position, text in input_sightings(connection, job):
        if position not in absent:
            continue
        sighting = json.loads(text)
        sizes = {sighting.get("size_bytes"), absent[position].size_bytes} - {None}
        if len(sizes) <= 1:
            places.setdefault(position, []).extend(sighting.get("locations") or ())
    return places
