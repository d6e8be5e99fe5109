"""The tag for a version of a product, in the repository that the product is built from.

An operator's template makes it: UPS writes `v1_2_3` and Spack `1.2.3`, and the tag of both may be
`v1_2_3`. Branches and commits do not count. A branch of that name may have moved since the product
was built, and a version that is a date could be mistaken for the first digits of a commit.
"""

import re
from string import Formatter

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.names import is_ref_name

DEFAULT_TEMPLATE = "{version}"
USUAL_TEMPLATES = (DEFAULT_TEMPLATE, "v{underscored}", "v{dotted}", "{dotted}")
"""Tags of a version where no operator said how they are written, the likeliest first."""
_OF_THE_VERSION = ("version", "dotted", "underscored")
PLACEHOLDERS = (*_OF_THE_VERSION, "name")
_LEADING_LETTER = re.compile(r"\Av(?=\d)")


def check_template(template: str) -> None:
    """Check that a template makes tags from versions.

    Raises:
        SoftwareError: it does not; the message says why.
    """
    if _placeholders(template).isdisjoint(_OF_THE_VERSION):
        message = "names the same tag for every version; put {version} where it belongs"
        raise SoftwareError(f"{template!r} {message}.")
    if not is_ref_name(_filled(template, "name", "1")):
        raise SoftwareError(f"{template!r} makes no name of a tag.")


def _placeholders(template: str) -> set[str]:
    """Return the placeholders of a template.

    Raises:
        SoftwareError: this is not a template, has an unknown placeholder, or formats one.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as problem:
        raise SoftwareError(f"{template!r} is not a template: {problem}.") from None
    listed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    names = {name for _, name, _, _ in parts if name is not None}
    for _, name, _, _ in parts:
        if name is not None and name not in PLACEHOLDERS:
            raise SoftwareError(f"{template!r} has the placeholder {{{name}}}; known are {listed}.")
    if any(conversion or form for _, _, form, conversion in parts):
        raise SoftwareError(f"{template!r} formats a placeholder; they stand alone: {listed}.")
    return names


def tag_of(template: str, name: str, version: str) -> str:
    """Return the tag for a version of a product.

    Raises:
        SoftwareError: the version is missing, or makes no valid name of a tag.
    """
    if not version:
        raise SoftwareError("the record does not say its version")
    tag = _filled(template, name, version)
    if not is_ref_name(tag):
        raise SoftwareError(f"its version {version[:80]!r} makes no name of a tag")
    return tag


def _filled(template: str, name: str, version: str) -> str:
    bare = _LEADING_LETTER.sub("", version)
    dotted, underscored = bare.replace("_", "."), bare.replace(".", "_")
    return template.format(version=version, name=name, dotted=dotted, underscored=underscored)
