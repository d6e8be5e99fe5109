"""How templates may be laid out: indentation is for their readers alone.

A page of fifty rows would else be a fifth longer, and has to stay below a size.
"""

import re

from jinja2.ext import Extension

_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


class WithoutIndentation(Extension):
    """Leaves the indentation of templates out of what they make.

    A line end stays what it is in HTML, white space; behind a block tag it is none (`trim_blocks`).
    """

    def preprocess(
        self,
        source: str,
        name: str | None,  # noqa: ARG002 - as Jinja calls it
        filename: str | None = None,  # noqa: ARG002
    ) -> str:
        """Return the source of a template without it, with as many lines."""
        return _INDENTATION.sub("", source)
