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
