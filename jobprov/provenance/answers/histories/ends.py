"""Where the histories of files end: roots, leaves and orphans."""

from msgspec import Struct

from jobprov.provenance.answers.histories.lineage import LineageFile
from jobprov.provenance.answers.names import FileName


class FileRoots(Struct, frozen=True):
    """The files that a file goes back to and that were made from no others, a page of them.

    Attributes:
        version: the version that was asked about, None for all of them or where no recorded job
            made the file.
        versions: how many versions of the file there are.
        count: how many files there are on all pages.
        is_truncated: the history was too long to be walked whole.
        next: the cursor of the next page, None on the last.
    """

    file: FileName
    version: int | None
    versions: int
    count: int
    files: list[LineageFile]
    is_truncated: bool
    next: str | None


class FileReaders(Struct, frozen=True):
    """The jobs that read a file.

    Attributes:
        states: how many are in which state.
        is_shared: they read it as an input that many jobs share, such as calibration.
    """

    count: int
    states: dict[str, int]
    is_shared: bool


class FileLeaves(FileRoots, frozen=True):
    """The files made from a file, directly or not, from which no other was made; a page of them.

    Attributes:
        readers: who read the file itself where nothing was made from it; None otherwise.
    """

    readers: FileReaders | None


class Orphan(FileName, frozen=True):
    """A file that records or catalogs name and that no recorded job made.

    Attributes:
        is_isolated: no file was made from it either.
        reader_count: jobs that read it, counted up to 1000.
        is_shared: they read it as an input that many jobs share.
    """

    is_isolated: bool
    reader_count: int
    is_shared: bool


class Orphans(Struct, frozen=True):
    """A page of orphans, in the order in which they were first named.

    Attributes:
        next: the cursor of the next page, None on the last. A page may be short, even empty, and
            not be the last.
    """

    files: list[Orphan]
    next: str | None
