"""What names a file in every answer, and which version of it an answer is about."""

from msgspec import Struct


class FileName(Struct, frozen=True):
    """What names a file.

    Attributes:
        namespace: empty where the file has none.
        url: the path of its page.
    """

    name: str
    namespace: str
    experiment: str
    url: str


class FileVersion(FileName, frozen=True):
    """What names a file, and one of its versions.

    Attributes:
        version: its number, None for a file that no recorded job made.
        versions: how many versions of the file there are.
    """

    version: int | None
    versions: int
