"""NEEDS.tsv: everything that a rerun needs from outside the bundle, and the level that follows.

L0 is a description only. L1 adds code, fcl, scripts and the environment listing; L2 small inputs
and conditions; L3 the environment; L4 all inputs. A level is complete if no need blocks it or a
lower one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobprov.provenance.bundle.fields import decimal
from jobprov.provenance.bundle.names import percent

CODE, SMALL_INPUTS, ENVIRONMENT, ALL_INPUTS = 1, 2, 3, 4
"""The closure levels by what each adds to the one below; 0 is a description only."""
HIGHEST = ALL_INPUTS
NO_LEVEL = 9
"""What a need blocks that no rerun needs."""
COLUMNS = ("kind", "name", "sha256", "size", "why", "last_known_place")


@dataclass(frozen=True, kw_only=True, order=True)
class Need:
    """A thing that is not in the bundle; `blocks` is the lowest level that cannot be complete."""

    blocks: int
    kind: str
    name: str
    digest: str = ""
    size: int | None = None
    why: str
    place: str = ""


class Needs:
    """Collects needs, each once."""

    def __init__(self) -> None:
        self._needs: dict[Need, None] = {}
        self.has_capsule = False

    def add(
        self,
        blocks: int,
        kind: str,
        name: str,
        why: str,
        *,
        digest: str = "",
        size: int | None = None,
        place: str = "",
    ) -> None:
        """Note a thing that is not in the bundle and that blocks this level."""
        need = Need(
            blocks=blocks, kind=kind, name=name, why=why, digest=digest, size=size, place=place
        )
        self._needs[need] = None

    def add_all(self, others: "Needs") -> None:
        """Add the needs of another list."""
        self._needs |= dict.fromkeys(others.sorted())

    def level(self) -> int:
        """The highest level that is complete."""
        blocking = {need.blocks for need in self._needs}
        if self.has_capsule:
            blocking.discard(ENVIRONMENT)  # a capsule needs nothing else
        else:
            blocking.add(ENVIRONMENT)
        return min([HIGHEST, *(level - 1 for level in blocking)])

    def of_kind(self, kind: str) -> list[Need]:
        """The needs of one kind, in the order noted."""
        return [need for need in self._needs if need.kind == kind]

    def sorted(self) -> list[Need]:
        """All needs, those of the lowest level first."""
        return sorted(
            self._needs,
            key=lambda need: (need.blocks, need.kind, need.name, need.digest, need.place),
        )

    def table(self) -> bytes:
        """NEEDS.tsv."""
        table = []
        for need in self.sorted():
            size = decimal(need.size)
            table.append((need.kind, need.name, need.digest, size, need.why, need.place))
        return tsv(COLUMNS, table)


def tsv(columns: Sequence[str], table: Iterable[Sequence[str]]) -> bytes:
    """A table: its columns, then its rows, LF at the end of each line."""
    lines = ["\t".join(columns), *map(_line, table)]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _line(row: Sequence[str]) -> str:
    return "\t".join([percent(cell) for cell in row])
