"""What decides about the set that ran and stands in neither configuration nor command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about one run of art; None is not known.

    Attributes:
        release: of art, as its experiment or package manager writes it: v3_14_04, 3.14.04.
        has_root_output: whether art found the module RootOutput, its default for new outputs.
        output_types: module types of outputs that only the command line asks for, by label.
        most_threads: as many as `-j 0` asks for.
        source_lists: texts of lists of source files (-S), by name.
        listed_sources: what these named.
    """

    release: str | None = None
    has_root_output: bool | None = None
    output_types: Mapping[str, str] = field(default_factory=dict)
    most_threads: int | None = None
    source_lists: Mapping[str, str] = field(default_factory=dict)
    listed_sources: Sequence[str] | None = None
