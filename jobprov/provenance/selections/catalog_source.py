"""What selects the files of a list in the catalog of an experiment."""

from typing import Annotated

import msgspec

_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class CatalogSource(
    msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, omit_defaults=True
):
    """Where the catalog of the experiment has a list of files; exactly one of them.

    Attributes:
        definition, snapshot_id: of SAM.
        dataset: of MetaCat, `namespace:name`.
        query: dimensions of SAM, or MQL.
    """

    definition: _Word | None = None
    snapshot_id: Annotated[int, msgspec.Meta(ge=1)] | None = None
    dataset: _Word | None = None
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)] | None = None

    def declared(self) -> dict[str, object]:
        """Return the fields that are set, in the form of a task's declaration."""
        fields: dict[str, object] = msgspec.to_builtins(self)
        return fields

    def words(self) -> str:
        """Return it for people to read."""
        [(kind, value)] = self.declared().items()
        name = "snapshot" if kind == "snapshot_id" else kind
        return f"{name} {value}"
