"""Pages as a browser shows them, whatever the layout of their templates."""

import re

_BLOCKS = (
    "article|aside|body|br|caption|col|colgroup|dd|details|div|dl|dt|fieldset|figcaption|figure"
    "|footer|form|h[1-6]|head|header|hr|html|legend|li|link|main|meta|nav|ol|optgroup|option|p|pre"
    "|script|section|summary|table|tbody|td|template|tfoot|th|thead|title|tr|ul|datalist"
)
_BESIDE_A_BLOCK = re.compile(rf" ?(</?(?:{_BLOCKS})\b[^>]*>) ?")


_WHOLE_DATE = re.compile(r'<span class="unbroken">([0-9-]+)</span>')


def tight(page: str) -> str:
    """Return a page on one line, without the white space that no browser shows.

    Dates stand there without the mark that keeps each of them on a line.
    """
    page = _WHOLE_DATE.sub(r"\1", page)
    line = re.sub(r"[ \t\r\n]+", " ", page).replace('" >', '">')
    return _BESIDE_A_BLOCK.sub(r"\1", line)
