"""An error inside one text, before its file and line are looked up. Never leaves the package."""


class TextError(Exception):
    """What is wrong and at which character.

    Attributes:
        kind: one of `errors.KINDS`.
        message: one sentence without its place.
        offset: position in the text being read.
    """

    def __init__(self, kind: str, message: str, offset: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.offset = offset


class FragmentError(Exception):
    """A segment does not stand alone: its items run across an include.

    The document is then read as one text.
    """
