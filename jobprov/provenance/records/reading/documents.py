"""Reads the small documents that clients send besides records, and the files of operators."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import ExperimentName
from jobprov.provenance.records.reading.misfits import misfit

T = TypeVar("T")


class _Named(msgspec.Struct):
    experiment: ExperimentName


def check_experiment_name(name: str) -> str:
    """Return the name of an experiment from an address, if a record could have it.

    Raises:
        BadInputError: no record could.
    """
    return read_document({"experiment": name}, _Named, "The address").experiment


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file of an operator holds.

    Raises:
        BadInputError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadInputError.of_file(path, problem) from None


def read_document(document: Mapping[str, object], kind: type[T], what: str) -> T:
    """Return the typed reading of a document.

    `what` it is begins the error if no field is to blame.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as problem:
        path, message = misfit(problem, kind)
        raise BadInputError(f"{path or what}: {message}.", {path: [message]}) from None
