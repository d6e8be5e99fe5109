"""The documentation as pages: docs/*.md, read and rendered once in a process, when first asked for.

Nothing of it depends on who asks. Names of pages are looked up in what was read, never in a folder,
so that no address reaches another file. Source: CommonMark 0.31 with tables, as markdown-it-py
reads them; anchors are those that code hosting sites make.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup, escape

from jobprov.app.web.frame.terms import anchor_of, named_in
from jobprov.provenance.answers.addresses import manual_page
from jobprov.provenance.errors import NotFoundError

if TYPE_CHECKING:
    from markdown_it.token import Token

FOLDER = Path(__file__).parents[3] / "docs"
"""A link in the source tree, a folder of the package where it is installed."""
PART_BYTES = 52_000
"""Longer pages are shown in parts: with the frame and the lists of pages each stays under 80 kB."""
GROUPS = {
    "tutorial": "Tutorials",
    "how-to": "How-to guides",
    "reference": "Reference",
    "explanation": "Explanation",
    "decisions": "Decisions",
}
_INDEX = "README"
_GLOSSARY = "reference/glossary"
_TOP = 2


class Heading(NamedTuple):
    """A heading of a page; the level is 1 for its title."""

    level: int
    anchor: str
    title: str


class Section(NamedTuple):
    """What stands below one heading, up to the next.

    Attributes:
        text: as people read it, for the search.
        tokens: as the library reads it; none once it was rendered.
    """

    heading: Heading
    text: str
    tokens: "list[Token]"


class PagePart(NamedTuple):
    """As much of a page as is shown at once.

    Attributes:
        anchors: where links into it may point.
    """

    html: Markup
    anchors: frozenset[str]


class ManualPage(NamedTuple):
    """One file of docs.

    Attributes:
        name: its path in docs without `.md`; that of a folder for its README, '' for the first.
        group: the folder that it is in, '' for the first page.
        length: letters of its source.
    """

    name: str
    group: str
    title: str
    length: int
    sections: list[Section]
    parts: list[PagePart]

    def part_of(self, anchor: str) -> int | None:
        """Return the number of the part, from 1, that has an anchor; None where none has."""
        for number, part in enumerate(self.parts, 1):
            if anchor in part.anchors:
                return number
        return None

    def address(self, anchor: str = "") -> str:
        """Return the address of the page, or of the part of it that has an anchor."""
        return manual_page(self.name, anchor, part=self.part_of(anchor) or 1)


class Manual:
    """Every page of docs by its name.

    Raises:
        NotFoundError: docs is not there, as in a package that was built without it.
    """

    def __init__(self, folder: Path) -> None:
        """Read and render every file of the folder."""
        # takes a tenth of a second, which no other page should wait for
        from markdown_it import MarkdownIt  # noqa: PLC0415

        self._reader = MarkdownIt("commonmark", {"html": False}).enable("table")
        self._reader.add_render_rule("table_open", _open_table)
        self._reader.add_render_rule("table_close", _close_table)
        self._reader.add_render_rule("fence", _block)
        self._reader.add_render_rule("code_block", _block)
        sources = {}
        for file in sorted(folder.rglob("*.md")):
            path = PurePosixPath(file.relative_to(folder).as_posix()).with_suffix("")
            sources[path] = file.read_text(encoding="utf-8")
        if not sources:
            raise NotFoundError("This package was built without its documentation.")
        drafts = {}
        for path, text in sources.items():
            draft = self._read(path, text)
            drafts[draft.name] = draft
        self.pages = {name: self._render(page, drafts) for name, page in drafts.items()}

    def in_group(self, group: str) -> list[ManualPage]:
        """Return the pages of a folder, in the order in which the first page lists them."""
        return [page for page in self.pages.values() if page.group == group]

    def _read(self, path: PurePosixPath, text: str) -> ManualPage:
        """Return a page with the anchors of its parts, not rendered yet."""
        tokens = self._reader.parse(text)
        name, group = path.as_posix(), path.parent.as_posix().removeprefix(".")
        if path.name == _INDEX:
            name = group
        sections = list(_sections(tokens))
        if name == _GLOSSARY:
            _mark_terms(tokens)
        parts = []
        for share in self._shares(sections, len(text)):
            anchors = {section.heading.anchor for section in share} | _ids(share)
            parts.append(PagePart(Markup(), frozenset(anchors)))
        return ManualPage(name, group, sections[0].heading.title, len(text), sections, parts)

    def _shares(self, sections: list[Section], length: int) -> list[list[Section]]:
        """Return the sections of each part; a part begins with a section of the second level."""
        if length < PART_BYTES // 2:  # most pages; HTML is a quarter longer than its source
            return [sections]
        chapters: list[list[Section]] = []
        for section in sections:
            if not chapters or section.heading.level <= _TOP:
                chapters.append([])
            chapters[-1].append(section)
        shares: list[list[Section]] = [[]]
        filled = 0
        for chapter in chapters:
            size = sum(len(self._html(section.tokens).encode()) for section in chapter)
            if shares[-1] and filled + size > PART_BYTES:
                shares.append([])
                filled = 0
            shares[-1] += chapter
            filled += size
        return shares

    def _render(self, page: ManualPage, drafts: dict[str, ManualPage]) -> ManualPage:
        """Return the page with its parts rendered, links to other pages as addresses here."""
        parts = []
        shares = self._shares(page.sections, page.length)
        for share, part in zip(shares, page.parts, strict=True):
            tokens = []
            for section in share:
                _lead_on(section.tokens, page, drafts)
                tokens += section.tokens
            # The library escapes what it renders, and takes no HTML of the source
            parts.append(part._replace(html=Markup(self._html(tokens))))  # noqa: S704
        sections = [section._replace(tokens=[]) for section in page.sections]
        return page._replace(sections=sections, parts=parts)

    def _html(self, tokens: "Sequence[Token]") -> str:
        rendered: str = self._reader.renderer.render(tokens, self._reader.options, {})
        return rendered


@cache
def manual() -> Manual:
    """Return the documentation, which is read at the first question."""
    return Manual(FOLDER)


def _sections(tokens: "list[Token]") -> Iterator[Section]:
    """Yield the sections of a page, and give each heading its anchor."""
    starts = [place for place, token in enumerate(tokens) if token.type == "heading_open"]
    ends = [*starts[1:], len(tokens)]
    for start, end in zip(starts, ends, strict=True):
        # A heading is three tokens: its opening, its words, its end
        opening, words = tokens[start], tokens[start + 1]
        title = _plain([words])
        level = int(opening.tag.removeprefix("h"))
        heading = Heading(level, anchor_of(title), title)
        opening.attrSet("id", heading.anchor)
        text = _plain(tokens[start + 3 : end])
        yield Section(heading, text, tokens[start:end])


def _plain(tokens: "Sequence[Token]") -> str:
    """Return the text of tokens without marks and addresses."""
    words = []
    for token in tokens:
        if token.type in ("fence", "code_block"):
            words.append(token.content)
        for child in token.children or ():
            words.append(child.content if child.type in ("text", "code_inline") else " ")
        words.append(" ")
    return " ".join("".join(words).split())


def _ids(sections: Sequence[Section]) -> set[str]:
    """Return the other anchors in these sections."""
    ids = set()
    for section in sections:
        for token in section.tokens:
            anchor = token.attrGet("id")
            if anchor:
                ids.add(str(anchor))
    return ids


def _mark_terms(tokens: "list[Token]") -> None:
    """Give each entry of the glossary an anchor: the first of the words that it explains."""
    for place, token in enumerate(tokens):
        if token.type == "list_item_open":
            terms = named_in(tokens[place + 2].content)
            if terms:
                token.attrSet("id", f"term-{anchor_of(terms[0])}")


def _lead_on(tokens: "Sequence[Token]", page: ManualPage, pages: dict[str, ManualPage]) -> None:
    """Make links between files links between pages; a link out of docs becomes plain text."""
    for token in tokens:
        opened = []
        for child in token.children or ():
            if child.type == "link_open":
                target = _target(str(child.attrGet("href") or ""), page, pages)
                if target is None:
                    child.tag, child.attrs = "span", {}
                else:
                    child.attrSet("href", target)
                opened.append(child.tag)
            elif child.type == "link_close":
                child.tag = opened.pop()


def _target(link: str, page: ManualPage, pages: dict[str, ManualPage]) -> str | None:
    """Return the address that a link of a page means here; None if it leads to no page."""
    has_scheme = ":" in link.partition("/")[0]
    if has_scheme:
        return link if link.startswith(("http://", "https://", "mailto:")) else None
    file, _, anchor = link.partition("#")
    name = _resolved(page.group, file) if file else page.name
    target = pages.get(name)
    return None if target is None else target.address(anchor)


def _resolved(group: str, link: str) -> str:
    """Return the name of the page that a link in a folder means."""
    parts = group.split("/") if group else []
    for part in link.split("/"):
        if part == "..":
            parts = parts[:-1] if parts else ["outside"]
        elif part != ".":
            parts.append(part)
    return "/".join(parts).removesuffix(".md").removesuffix(_INDEX).removesuffix("/")


def _open_table(_: Any, __: Any, ___: Any, ____: Any, env: MutableMapping[str, Any]) -> str:
    """Return a table's beginning, in a frame that keys scroll where the table is wide."""
    env["tables"] = env.get("tables", 0) + 1
    label = f"Table {env['tables']}"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">\n<table>\n'


def _close_table(*_: Any) -> str:
    return "</table>\n</div>\n"


def _block(_: Any, tokens: "Sequence[Token]", place: int, *__: Any) -> str:
    """Return a block of code, which keys scroll where a line is long."""
    return f'<pre class="log" tabindex="0"><code>{escape(tokens[place].content)}</code></pre>\n'


class Found(NamedTuple):
    """A section that has the words of a question.

    Attributes:
        snippet: the text around the first of the words.
    """

    page: str
    title: str
    url: str
    snippet: str


MOST_WORDS = 8
MOST_FOUND = 40
_AROUND = 90
_IN_TITLE = 10
_MOST_COUNTED = 5
"""A word that stands in a text more often counts no more."""


def search_manual(text: str) -> list[Found]:
    """Return the sections that hold every word, those whose titles do first."""
    words = text.lower().split()[:MOST_WORDS]
    if not words:
        return []
    hits: list[_Hit] = []
    for page in manual().pages.values():
        for section in page.sections:
            score = _score(page, section, words)
            if score:
                hits.append(_Hit(page, section, score))
    hits.sort(key=_Hit.rank)  # a stable sort: equal ones stay in the order of the manual
    return [_found(hit.page, hit.section, words) for hit in hits[:MOST_FOUND]]


class _Hit(NamedTuple):
    """A section that holds every word, and how well it fits them."""

    page: ManualPage
    section: Section
    score: int

    def rank(self) -> tuple[bool, int]:
        """Return its place in the order: decisions last, since they are seldom what is sought."""
        return self.page.group == "decisions", -self.score


def _score(page: ManualPage, section: Section, words: Sequence[str]) -> int:
    """Return how well a section fits the words; 0 if one of them is not in it."""
    title = f"{page.title} {section.heading.title}".lower()
    body = section.text.lower()
    score = 0
    for word in words:
        if word not in title and word not in body:
            return 0
        score += _IN_TITLE * (word in title) + min(body.count(word), _MOST_COUNTED)
    return score


def _found(page: ManualPage, section: Section, words: Sequence[str]) -> Found:
    title = section.heading.title
    anchor = ""
    if section.heading.level > 1:
        anchor = section.heading.anchor
    address = page.address(anchor)
    lowered = section.text.lower()
    places = [lowered.index(word) for word in words if word in lowered]
    start = max(0, min(places, default=0) - _AROUND)
    snippet = section.text[start : start + 2 * _AROUND + 40]
    if start:
        snippet = "… " + snippet.partition(" ")[2]
    return Found(page.title, title, address, snippet)
