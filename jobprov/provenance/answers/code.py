"""Answers about products, and the code that they are built from."""

from msgspec import Struct


class UnresolvedVersion(Struct, frozen=True):
    """A version of a product that was not found in its repository.

    Attributes:
        version: empty where a record names none.
        ref: the tag that the version names; None where it names none.
        reason: why it is not resolved, without a full stop.
    """

    version: str
    ref: str | None
    reason: str


class MappedProduct(Struct, frozen=True):
    """A product and the registered repository that it is built from.

    Attributes:
        manager: `ups`, `spack` and their like; None where any is meant.
        ref: the template that makes tags of versions; several, with "or", are tried in turn.
        is_by_name: no operator mapped it: the repository has its name.
        versions: how many versions records name.
        resolved: how many of these were found.
        lists: how many software lists of records name the product.
    """

    name: str
    manager: str | None
    repository: str
    ref: str
    is_by_name: bool
    versions: int
    resolved: int
    unresolved: list[UnresolvedVersion]
    lists: int


class UnmappedProduct(Struct, frozen=True):
    """A product that records name, and whose repository is not known.

    Attributes:
        lists: how many software lists of records name it.
        versions: how many versions records name.
    """

    name: str
    manager: str | None
    lists: int
    versions: int


class Products(Struct, frozen=True):
    """The products that records name without a repository.

    Attributes:
        mapped: those whose repository is known, by name and manager.
        unmapped: those of most software lists first.
    """

    mapped: list[MappedProduct]
    unmapped: list[UnmappedProduct]
