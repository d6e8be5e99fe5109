"""Names inside a bundle: which files keep their name, and which are stored under their digest.

A name may have only `[A-Za-z0-9._+-]`, no leading dash, at most 100 bytes in each component, a
length that USTAR can split, and must not differ from another one in case alone. Other files are
stored under their digest, with the name in the .tsv beside them. The reasons are the limits of
USTAR; characters that BagIt percent-encodes and `sha512sum` escapes by a backslash; and file
systems that ignore case.

Source: POSIX.1-1988 ustar header (name 100 bytes, prefix 155), RFC 8493 section 2.1.3.
"""

import re

NAME_BYTES = 100
PREFIX_BYTES = 155
_ODD = re.compile("[\x00-\x1f\x7f%\udc80-\udcff]")
_PLAIN = re.compile(r"[A-Za-z0-9._+][A-Za-z0-9._+-]*\Z")


def is_plain(path: str) -> bool:
    """Whether a relative path may be used as it is."""
    return all(map(_is_plain_part, path.split("/")))


def _is_plain_part(part: str) -> bool:
    return _PLAIN.match(part) is not None and part not in {".", ".."} and len(part) <= NAME_BYTES


def split_for_ustar(path: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name) for a USTAR header, or None if the path does not fit."""
    if len(path) <= NAME_BYTES:
        return b"", path
    # The slash at the end of a folder's path is no place to cut
    cut = path.find(b"/", len(path) - NAME_BYTES - 1, len(path) - 1)
    if cut < 1 or cut > PREFIX_BYTES:
        return None
    return path[:cut], path[cut + 1 :]


def plain_name(name: str, fallback: str) -> str:
    """The name if it may be used as one component of a path, else the fallback."""
    return name if name and "/" not in name and is_plain(name) else fallback


def percent(string: str) -> str:
    """The string as one field of a .tsv, `-` if it is empty.

    Control characters, `%`, and bytes that are not UTF-8 become `%XX`.
    """
    if not string:
        return "-"
    if string == "-":
        return "%2D"
    if not _ODD.search(string):  # saves time: nearly all strings are like this
        return string
    return "".join(map(_escape, string))


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x20 or code == 0x7F or character == "%":  # noqa: PLR2004
        return f"%{code:02X}"
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - surrogateescape's image of a raw byte
        return f"%{code - 0xDC00:02X}"
    return character


class Shelf:
    """Gives out paths in the payload that do not clash, even on a file system that ignores case."""

    def __init__(self, top: str) -> None:
        self._top = top
        self._taken: dict[str, tuple[str, str]] = {}

    def take(self, folder: str, wanted: str, digest: str, *, odd: str | None = None) -> str:
        """The path for these bytes: `folder/wanted` if that name is allowed, else `odd/digest`.

        By default `odd` is the folder itself.
        """
        path = f"{folder}/{wanted}"
        if is_plain(wanted) and self._fits(path) and self._is_free(path, digest):
            self._mark(path, digest)
            return path
        path = f"{odd or folder}/{digest}"
        self._mark(path, digest)
        return path

    def _fits(self, path: str) -> bool:
        return split_for_ustar(f"{self._top}/data/{path}".encode()) is not None

    def _is_free(self, path: str, digest: str) -> bool:
        # The same bytes may get the same path again, and folders may be shared
        if self._is_taken(path, digest):
            return False
        return not any(self._is_taken(folder, "") for folder in _folders(path))

    def _is_taken(self, path: str, digest: str) -> bool:
        taken_by = self._taken.get(path.lower())
        return taken_by is not None and taken_by != (path, digest)

    def _mark(self, path: str, digest: str) -> None:
        self._taken[path.lower()] = (path, digest)
        for folder in _folders(path):
            self._taken.setdefault(folder.lower(), (folder, ""))


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
