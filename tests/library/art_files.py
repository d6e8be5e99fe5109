"""ROOT files with any bytes as art's database: what the tests damage."""

import sqlite3
from pathlib import Path

import uproot

FOLDER = Path(__file__).parents[1] / "data" / "art"
TOY = FOLDER / "toy_reco.root"


def with_database(
    path: Path, content: bytes, *, name: str = "RootFileDB", claimed: int | None = None
) -> Path:
    """Write a ROOT file in which these bytes are art's database.

    `claimed` is the size that its key tells of.
    """
    with uproot.recreate(path) as file:
        size = len(content) if claimed is None else claimed
        file._cascading.add_object(
            file._file.sink, "TKey", name, "sqlite3 database file", content, size
        )
    return path


def database(*statements: str) -> bytes:
    """Return an SQLite file made by these statements."""
    with sqlite3.connect(":memory:") as made:
        for statement in statements:
            made.execute(statement)
        made.commit()
        return made.serialize()
