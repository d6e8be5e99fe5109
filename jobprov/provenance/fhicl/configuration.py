"""An evaluated configuration: values and where each was written, files, printed forms."""

from collections.abc import Iterator
from typing import Any

from jobprov.provenance.fhicl.identity import (
    canonical_form,
    compact_form,
    parameter_set_id,
    registered_tables,
)
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.positions import Origin
from jobprov.provenance.fhicl.printing import annotated_form, indented_form, prefix_annotated_form
from jobprov.provenance.fhicl.reading.includer import Expansion, SourceFile
from jobprov.provenance.fhicl.tree import (
    Parameter,
    find_value,
    origin_of,
    parameters,
    python_value,
    tree_of,
)
from jobprov.provenance.fhicl.values import TableBody


class Configuration:
    """The result of evaluating a document. It never changes, and is safe to share.

    Attributes:
        files: the files that were opened, each once, in the order of the first time.
        opened: paths in the order in which they were opened, with repeats.
        expanded_size: bytes of the expanded text.
    """

    def __init__(
        self,
        root: TableBody,
        registry: dict[str, TableBody] | None,
        *,
        expansion: Expansion,
        limits: Limits,
    ) -> None:
        self._root = root
        self._registry = registry
        self._expansion = expansion
        self._limits = limits
        self._canonical = canonical_form(root, limits)
        self.files: tuple[SourceFile, ...] = tuple(expansion.files)
        self.opened: tuple[str, ...] = tuple(expansion.opened)
        self.expanded_size = expansion.size

    def changed_to(self, root: TableBody) -> "Configuration":
        """Return another set that was made of this one, with the same files."""
        return Configuration(root, None, expansion=self._expansion, limits=self._limits)

    def __repr__(self) -> str:
        main = self.files[0].path if self.files else "nothing"
        return f"<Configuration {self.parameter_set_id} of {main}>"

    @property
    def value_count(self) -> int:
        """The number of values, shared ones counted at each of their places."""
        return self._root.written.values

    @property
    def parameter_set_id(self) -> str:
        """The SHA-1 of the canonical form, 40 hex digits. art calls it ParameterSetID."""
        return parameter_set_id(self._root)

    @property
    def expanded(self) -> bytes:
        """The text with its includes, as `fhicl-expand` prints it; composed at each call."""
        return self._expansion.text()

    def to_string(self) -> str:
        """Return the canonical form: one line, keys in byte order."""
        return self._canonical

    def to_compact_string(self) -> str:
        """Return the canonical form with `@id::` in place of longer tables, as art stores it."""
        return compact_form(self._root)

    def to_indented_string(self) -> str:
        """Return what `fhicl-dump` and `--config-out` print."""
        return indented_form(self._root, self._limits)

    def to_annotated_string(self) -> str:
        """Return what `--annotate` prints, with the reference's line numbers."""
        return annotated_form(self._root, self._registered(), self._limits)

    def to_prefix_annotated_string(self) -> str:
        """Return what `--prefix-annotate` prints, with the reference's line numbers."""
        return prefix_annotated_form(self._root, self._registered(), self._limits)

    def value(self, path: str) -> Any:
        """Return a value as a Python one: None, bool, int, float, complex, str, list or dict.

        Raises:
            NotFoundError: the configuration has no such path (`a.b[2].c`).
        """
        return python_value(find_value(self._root, path))

    def canonical_value(self, path: str) -> str:
        """Return the canonical text of a value.

        Raises:
            NotFoundError: the configuration has no such path.
        """
        value = find_value(self._root, path)
        return value.text if value.body is None else str(value.body.canonical)

    def origin(self, path: str) -> Origin | None:
        """Return file and line where a value was written.

        Return None for an `@nil` that nobody wrote, which only fills a sequence or a path.

        Raises:
            NotFoundError: the configuration has no such path.
        """
        return origin_of(find_value(self._root, path))

    def as_tree(self) -> dict[str, Any]:
        """Return the set as JSON values. Infinities and complex numbers become text."""
        return tree_of(self._root)

    def parameters(self) -> Iterator[Parameter]:
        """Yield every atom and every empty table and sequence, in printed order."""
        return parameters(self._root)

    def _registered(self) -> dict[str, TableBody]:
        if self._registry is None:
            self._registry = registered_tables(self._root, self._limits)
        return self._registry

    @property
    def limits(self) -> Limits:
        """The limits that it was read under."""
        return self._limits

    @property
    def root(self) -> TableBody:
        """The evaluated table itself, for the package's own use."""
        return self._root
