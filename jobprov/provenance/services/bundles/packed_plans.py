"""Plans as they are stored: what bundles of a release have in common is stored once.

A plan is its list of members and the files that were generated for it: one text. Texts of a release
differ in a few values (the job's id, times, names and digests of its files), each of which stands in
many places. So a *template*, a blob of its own, is made of two texts: the parts that both have, and
between them gaps, numbered by value. Of a further plan, only its values are stored. Such a plan
holds all parts of its template; so an erased plan leaves nothing behind that no other bundle holds.
Digests of generated files are not stored, but computed when the plan is read; where such files name
each other's digests, the text has marks.

Source: storage.md, "Bundles".
"""

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from threading import Lock
from typing import Any, NamedTuple, Self

import zstandard

from jobprov.provenance.bundle.draft import member_of
from jobprov.provenance.bundle.fields import canonical_json
from jobprov.provenance.bundle.plan import Plan
from jobprov.provenance.errors import BundleError

_START = b"jobprov plan 1\n"
_NO_TEMPLATE = bytes(32)
_LEVEL = 9

_LARGEST = 1 << 30
_PIECE = re.compile(rb"[^,\n]*[,\n]|[^,\n]+")
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")
_MOST_PIECES = 20_000  # comparing more takes too long
_SHORTEST = 4  # bytes between two gaps
_LEAST_SHARE = 3  # a template has at least a third of a plan
_MOST_TEMPLATES, _MOST_GROUPS = 4, 64
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_MARK, _MARKED = b"\1%062d\1", re.compile(b"\1([0-9]{62})\1")  # as long as a digest
_COMPUTED = ("sha256", "sha512", "cksum", "part_of", "offset")

Read = Callable[[str], bytes]
"""Returns a blob by its digest."""


@dataclass(frozen=True)
class Template:
    """What texts of plans have in common.

    Attributes:
        parts: in order; gaps are between them.
        values: the number of the value in each gap.
    """

    parts: tuple[bytes, ...]
    values: tuple[int, ...]

    @classmethod
    def of(cls, first: bytes, second: bytes) -> Self | None:
        """Return the template of two texts; None if they have too little in common."""
        if b"\0" in first or b"\0" in second:
            return None
        parts, gaps = _compared(first, second)
        if sum(map(len, parts)) * _LEAST_SHARE < len(second):
            return None
        numbers: dict[_Gap, int] = {}
        values = [numbers.setdefault(gap, len(numbers)) for gap in gaps]
        return cls(tuple(parts), tuple(values))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the template that `to_bytes` wrote; raises ValueError."""
        numbers, _, parts = data.partition(b"\n")
        return cls(tuple(parts.split(b"\0")), tuple(json.loads(numbers)))

    def to_bytes(self) -> bytes:
        """Return the template as it is stored."""
        return json.dumps(self.values).encode() + b"\n" + b"\0".join(self.parts)

    def fillings(self, text: bytes) -> list[bytes] | None:
        """Return the values of a text, or what is in each gap; None if it lacks a part."""
        if b"\0" in text or not text.startswith(self.parts[0]):
            return None
        gaps: list[bytes] = []
        position = len(self.parts[0])
        for part in self.parts[1:]:
            start = text.find(part, position)
            if start < 0:
                return None
            gaps.append(text[position:start])
            position = start + len(part)
        if position < len(text):
            return None
        by_number: dict[int, bytes] = {}
        for number, gap in zip(self.values, gaps, strict=True):
            if by_number.setdefault(number, gap) != gap:
                return gaps  # in this text, gaps of one number differ
        return [by_number[number] for number in sorted(by_number)]

    def filled(self, fillings: Sequence[bytes]) -> bytes:
        """Return the text with these values, or with this in each gap."""
        gaps = fillings
        if len(fillings) == len(set(self.values)):
            gaps = [fillings[number] for number in self.values]
        text = [self.parts[0]]
        for gap, part in zip(gaps, self.parts[1:], strict=True):
            text += (gap, part)
        return b"".join(text)


class PackedPlan(NamedTuple):
    """A plan as it is stored.

    Attributes:
        template: its template, if that is new; empty otherwise.
    """

    data: bytes
    template: bytes = b""


class Templates:
    """Remembers recently used templates by group: experiment, software and the like."""

    def __init__(self) -> None:
        self._by_group: OrderedDict[object, dict[Template, bytes]] = OrderedDict()
        self._lock = Lock()

    def of(self, group: object) -> list[tuple[Template, bytes]]:
        """Return the templates of a group with their digests, the last used first."""
        with self._lock:
            return list(self._by_group.get(group, {}).items())

    def use(self, group: object, template: Template, digest: bytes) -> None:
        """Note that a template was used."""
        with self._lock:
            known = self._by_group.pop(group, {})
            known.pop(template, None)
            used = [(template, digest), *known.items()]
            self._by_group[group] = dict(used[:_MOST_TEMPLATES])
            while len(self._by_group) > _MOST_GROUPS:
                self._by_group.popitem(last=False)


recent_templates = Templates()


def pack_plan(
    plan: Plan, generated: bytes, group: object, similar: Callable[[], Iterable[str]], read: Read
) -> PackedPlan:
    """Return a plan as it is to be stored.

    Args:
        generated: the bytes of its generated members, one after the other.
        group: plans of one group are much alike.
        similar: returns the digests of stored plans of the group, the newest first.
        read: returns a blob.
    """
    text = _text_of(plan, generated)
    for template, digest in recent_templates.of(group):
        fillings = template.fillings(text)
        if fillings is not None:
            recent_templates.use(group, template, digest)
            return PackedPlan(_packed(fillings, digest))
    for template, is_new in _candidates(text, similar(), read):
        fillings = template.fillings(text)
        if fillings is not None:
            data = template.to_bytes()
            digest = hashlib.sha256(data).digest()
            recent_templates.use(group, template, digest)
            return PackedPlan(_packed(fillings, digest), data if is_new else b"")
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return PackedPlan(_START + _NO_TEMPLATE + compressor.compress(text))


def unpack_plan(data: bytes, read: Read) -> Plan:
    """Return a stored plan, with the bytes of its generated members.

    Raises:
        BundleError: it cannot be read.
    """
    if is_plain(data):
        return Plan.from_bytes(data, read)
    try:
        document, marked = _parts_of(_unpacked(data, read))
        made = [member for member in document["members"] if "sha256" not in member]
        contents = _cut(marked, [member["size"] for member in made])
        if document.pop("is_marked"):
            contents = _without_marks(contents)
        generated = b"".join(contents)
        part_of = hashlib.sha256(generated).hexdigest()
        offset = 0
        for member, content in zip(made, contents, strict=True):
            digested = member_of(member["path"], content, mode=member["mode"])
            member |= {"sha256": digested.sha256, "sha512": digested.sha512}
            member |= {"cksum": digested.cksum, "part_of": part_of, "offset": offset}
            offset += len(content)
    except (ValueError, TypeError, KeyError, AttributeError, zstandard.ZstdError) as error:
        message = (
            f"The stored plan of a bundle cannot be read ({error}); build the bundle anew from its "
            "record."
        )
        raise BundleError(message) from error
    plan = Plan.from_bytes(canonical_json(document), read)
    return replace(plan, generated={part_of: generated})


def is_plain(data: bytes) -> bool:
    """Return whether a stored plan is the list of members itself, as the first archives have it."""
    return data.startswith(b"{")


def template_of(data: bytes) -> str:
    """Return the digest of a stored plan's template; empty if it has none."""
    if not data.startswith(_START):
        return ""
    digest = data[len(_START) : len(_START) + len(_NO_TEMPLATE)]
    return "" if digest == _NO_TEMPLATE else digest.hex()


def blobs_of(data: bytes, read: Read) -> set[str]:
    """Return the digests of the blobs that a stored plan itself names, its template among them.

    Nothing if the bytes are not a plan.
    """
    if is_plain(data):
        return Plan.named_in(data)
    template = template_of(data)
    named = {template} - {""}
    try:
        document, _ = _parts_of(_unpacked(data, read))
    except (ValueError, TypeError, KeyError, zstandard.ZstdError):
        return named
    del document["is_marked"]
    stored = [member for member in document["members"] if "sha256" in member]
    return named | Plan.named_in(canonical_json({**document, "members": stored}))


def _text_of(plan: Plan, generated: bytes) -> bytes:
    """Return a plan as one text, without the digests of the files that were generated for it."""
    document = json.loads(plan.to_bytes())
    marks: dict[bytes, bytes] = {}
    made = [member for member in document["members"] if "part_of" in member]
    for place, member in enumerate(made):
        marks.setdefault(member["sha256"].encode(), _MARK % place)
        for field in _COMPUTED:
            del member[field]
    document["is_marked"] = b"\1" not in generated
    if document["is_marked"]:
        generated = _DIGEST.sub(lambda digest: marks.get(digest[0], digest[0]), generated)
    listing = canonical_json(document)
    return b"%d\n" % len(listing) + listing + generated


def _cut(joined: bytes, sizes: Sequence[int]) -> list[bytes]:
    contents: list[bytes] = []
    offset = 0
    for size in sizes:
        contents.append(joined[offset : offset + size])
        offset += size
    return contents


def _without_marks(contents: list[bytes]) -> list[bytes]:
    """Return the generated files, in order, with each other's digests in place of marks."""
    contents = list(contents)
    digests: dict[int, bytes] = {}
    while len(digests) < len(contents):
        known = len(digests)
        for place, content in enumerate(contents):
            named = {int(number) for number in _MARKED.findall(content)}
            if place not in digests and named <= digests.keys():
                contents[place] = _MARKED.sub(lambda mark: digests[int(mark[1])], content)
                digests[place] = hashlib.sha256(contents[place]).hexdigest().encode()
        if len(digests) == known:
            raise ValueError("its files name each other's digests in a circle")
    return contents


def _parts_of(text: bytes) -> tuple[Any, bytes]:
    """Return the list of members, and the bytes of those that were generated."""
    size, _, rest = text.partition(b"\n")
    return json.loads(rest[: int(size)]), rest[int(size) :]


def _packed(fillings: Sequence[bytes], template: bytes) -> bytes:
    frame = zstandard.ZstdCompressor(level=_LEVEL).compress(b"\0".join(fillings))
    return _START + template + frame


def _unpacked(data: bytes, read: Read) -> bytes:
    """Return the text of a stored plan."""
    if not data.startswith(_START):
        raise ValueError("these bytes are not a plan")
    frame = data[len(_START) + len(_NO_TEMPLATE) :]
    text = zstandard.ZstdDecompressor().decompress(frame, max_output_size=_LARGEST)
    template = template_of(data)
    if not template:
        return text
    return Template.from_bytes(read(template)).filled(text.split(b"\0"))


def _candidates(text: bytes, plans: Iterable[str], read: Read) -> Iterator[tuple[Template, bool]]:
    """Yield the templates of similar plans, and new ones made of a plan and this one."""
    others: list[bytes] = []
    for sha256 in plans:
        data = read(sha256)
        if digest := template_of(data):
            yield Template.from_bytes(read(digest)), False
        others.append(_unpacked(data, read))
    for other in others:
        template = Template.of(other, text)
        if template is not None:
            yield template, True


class _Gap(NamedTuple):
    """What is between two common parts, in the one text and in the other."""

    left: bytes
    right: bytes


def _compared(first: bytes, second: bytes) -> tuple[list[bytes], list[_Gap]]:
    """Return the parts that two texts have in common, and what both have between these."""
    parts, gaps = [b""], list[_Gap]()
    for is_common, piece in _aligned_pieces(first, second):
        if is_common:
            parts[-1] += piece.left
            continue
        # Within a piece that differs, the ends may be common too
        beginning, ending = _ends_in_common(*piece)
        left_end, right_end = len(piece.left) - ending, len(piece.right) - ending
        parts[-1] += piece.left[:beginning]
        gap = _Gap(piece.left[beginning:left_end], piece.right[beginning:right_end])
        if gaps and len(parts[-1]) < _SHORTEST:
            between, before = parts.pop(), gaps.pop()
            gap = _Gap(before.left + between + gap.left, before.right + between + gap.right)
        gaps.append(gap)
        parts.append(piece.left[left_end:])
    return parts, gaps


def _aligned_pieces(first: bytes, second: bytes) -> Iterator[tuple[bool, _Gap]]:
    """Yield pieces of two texts side by side, each with whether both are the same.

    Nothing where the texts have too many pieces.
    """
    old, new = _PIECE.findall(first), _PIECE.findall(second)
    if max(len(old), len(new)) > _MOST_PIECES:
        return
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        left, right = old[start:end], new[new_start:new_end]
        if kind == "equal" or len(left) != len(right):
            yield kind == "equal", _Gap(b"".join(left), b"".join(right))
            continue
        for pair in zip(left, right, strict=True):
            yield False, _Gap(*pair)


def _ends_in_common(left: bytes, right: bytes) -> tuple[int, int]:
    """Return how many bytes both have in common at the beginning and at the end, in whole words."""
    beginning = _length_in_common(left, right)
    while beginning and left[beginning - 1] in _WORD:
        beginning -= 1
    rest = min(len(left), len(right)) - beginning
    ending = min(rest, _length_in_common(left[::-1], right[::-1]))
    while ending and left[len(left) - ending] in _WORD:
        ending -= 1
    return beginning, ending


def _length_in_common(left: bytes, right: bytes) -> int:
    """Return the number of bytes with which both begin."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))
