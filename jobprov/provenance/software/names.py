"""Checks names of objects and refs before git sees them. A valid name may still name nothing.

Source: git-check-ref-format(1), rules 1 to 10, and gitglossary(7) for object names.
"""

import re

from jobprov.provenance.errors import SoftwareError

_OID = re.compile(r"[0-9a-f]{40}")
_LONG_OID = re.compile(r"[0-9a-f]{64}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|[\ud800-\udfff]")
_MAX_REF_BYTES = 1000


def is_oid(text: str) -> bool:
    """Whether `text` is a full SHA-1 object id in lower-case hex."""
    return _OID.fullmatch(text) is not None


def is_sha256_oid(text: str) -> bool:
    """Whether `text` is a full SHA-256 object id, for which there is an error of its own."""
    return _LONG_OID.fullmatch(text) is not None


def is_abbreviated_oid(text: str) -> bool:
    """Whether `text` could be the beginning of an object id; it needs at least seven digits."""
    return _ABBREVIATED.fullmatch(text) is not None


def is_ref_name(text: str) -> bool:
    """Whether `text` may be a ref or the end of one: a tag, a branch, or a full `refs/…` name."""
    if not text or text == "@" or text.startswith(("-", "/")) or text.endswith(("/", ".")):
        return False
    if _FORBIDDEN.search(text) or len(text.encode("utf-8", "surrogatepass")) > _MAX_REF_BYTES:
        return False
    return not any(part.startswith(".") or part.endswith(".lock") for part in text.split("/"))


def checked_oid(text: str) -> str:
    """Return `text` after checking that it is a full SHA-1 object id.

    Raises:
        SoftwareError: it is not one.
    """
    if is_oid(text):
        return text
    if is_sha256_oid(text):
        raise SoftwareError(
            f"Object id {text} is a SHA-256 one: repositories in that format are not supported yet."
        )
    raise SoftwareError(f"{text[:80]!r} is not a git object id: give its 40 lower-case hex digits.")
