"""Why and where art failed, out of its log.

Category, phase, module, event, what it is about, and the sentence for people.

A finding is a dictionary with `category` (of nested ones all, outermost first: `DataCorruption >
BadBlock`), `message`, `phase`, `module_label`, `module_type`, `service`, `run`, `subrun`, `event`,
`path`, and `product`, `parameter`, `library`, `symbol` or `plugin`, where the text has them. `also`
has the findings of further failures: of a job that failed in an event and at its end as well.
"""

from typing import List, Optional, Sequence

from jobprov.provenance.capture.logs import art_blocks, art_place, art_sentence, art_subject
from jobprov.provenance.capture.logs.art_blocks import Chain
from jobprov.provenance.capture.record.json_objects import Finding

_KINDS = {  # what art itself calls its messages: the category
    "ArtException": "ArtException",
    "StdLibException": "std::exception",
    "std::bad_allocException": "std::bad_alloc",
    "UnknownException": "unknown exception",
}
_BEFORE = (  # what art prints in front of a block that no message holds
    ("Failed to parse the configuration file", "parse"),
    ("Failed to create a parameter set", "parse"),
    ("doCheckOptions()", "options"),
    ("doProcessOptions()", "parse"),
    ("post-processed configuration", "config output"),
)
_MOST_OTHERS = 4


def severe(text: str, *, is_own: bool = True) -> Optional[Finding]:
    """Return the finding of the last severe message that art itself wrote, or that a module wrote.

    None without one.
    """
    last = None
    for severity, header, lines in art_blocks.messages(text):
        if severity == "s" and _is_own(header) == is_own:
            last = header, lines
    if last is None:
        return None
    header, lines = last
    return _finding(header, lines, art_blocks.chains(lines))


def bare(text: str) -> Optional[Finding]:
    """Return the finding of the first exception whose text is in no message, as on standard error.

    None without one.
    """
    lines = art_blocks.outside(text)
    chains = art_blocks.chains(lines)
    if not chains and not art_blocks.has_block(lines):
        chains = art_blocks.beheaded(lines)
    if not chains:
        return None
    finding = _finding("", lines, chains)
    joined = "\n".join(lines)
    for words, phase in _BEFORE:
        if words in joined:
            finding["phase"] = phase
            break
    return finding


def suppressed(text: str) -> List[Finding]:
    """Return the findings of exceptions that art went on after, and of logged errors.

    Each has `severity`.
    """
    findings = []
    for severity, header, lines in art_blocks.messages(text):
        if severity not in ("e", "w"):
            continue
        has_block = art_blocks.has_block(lines)
        is_exception = has_block or any("due to exception" in line for line in lines)
        if severity == "w" and not is_exception:
            continue
        finding = _finding(header, lines, art_blocks.chains(lines))
        finding["severity"] = "error" if severity == "e" else "warning"
        if severity == "e" and not has_block:
            finding["category"] = art_place.kind(header)
        findings.append(finding)
    return findings


def _is_own(header: str) -> bool:
    return art_place.kind(header) in _KINDS


def _finding(header: str, lines: Sequence[str], chains: Sequence[Chain]) -> Finding:
    """Return the finding of a message's header and lines, with the chains of blocks in them."""
    body = "\n".join(lines)
    place = art_place.from_header(header, is_own=_is_own(header))
    if not chains:
        kind = art_place.kind(header)
        finding: Finding = {"category": _KINDS.get(kind, kind) or None, "phase": None}
        finding["message"] = art_sentence.say([line.strip() for line in lines], body)
        finding.update(art_subject.about(body))
        finding.update(art_place.merge(place, art_place.from_body(body)))
        return finding
    if len(chains) == 1:
        return _chain_finding(chains[0], body, place)
    finding = _chain_finding(chains[0], chains[0].text, place)
    finding["also"] = [
        _chain_finding(chain, chain.text, {}) for chain in chains[1 : _MOST_OTHERS + 1]
    ]
    return finding


def _chain_finding(chain: Chain, body: str, place: Finding) -> Finding:
    """Return the finding of one chain of blocks; `place` is what is known of it before."""
    category = " > ".join(art_blocks.names(chain))
    finding: Finding = {"category": category, "phase": None}
    finding["message"] = art_sentence.say_chain(chain.blocks, body)
    if chain.others:
        finding["message"] = "{}; and {} more".format(finding["message"].rstrip("."), chain.others)
    finding.update(art_subject.about(body))
    if chain.blocks[-1].name == "Can't find key":
        finding.setdefault("parameter", art_subject.missing_key(chain.blocks[-1].lines))
    finding.update(art_place.merge(place, art_place.from_body(body)))
    return finding
