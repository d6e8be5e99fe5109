"""Where art was when it failed, out of a message's header and text: phase, module, event, path.

Sources: the words of art's Worker, Schedule, EventProcessor, ServiceCacheEntry, PathManager and
prune_configuration, of art 1 to 3.
"""

import re
from typing import Optional

from jobprov.provenance.capture.logs import art_subject
from jobprov.provenance.capture.record.json_objects import Finding

NUMBERS = ("run", "subrun", "event")
_KIND = re.compile(r"((?:[^:]|::)+)")
_CONTEXT = re.compile(r":\s+([\w:/]+?):(\w+)@(\w+)\s")
_EVENT = r"\brun:\s*(\d+)(?:\s+subRun:\s*(\d+)(?:\s+event:\s*(\d+))?)?"
_WHEN = re.compile(_EVENT)
_THROWN = re.compile(
    r"(?:while processing|during a (?:previous )?call to(?: the)?|exception going through) module"
    r"\s+([\w:/]+)/(\w+)(?:\s+" + _EVENT + r"|\s+during\s+(\w+))?"
)
_THROWN_FIELDS = ("module_type", "module_label", "run", "subrun", "event", "phase")
_END_JOB = re.compile(r"^[ \t]*([\w:/]+)/(\w+)\s+during\s+(\w+)\b", re.MULTILINE)
_END_JOB_FIELDS = ("module_type", "module_label", "phase")
_LABELLED = re.compile(r"Module label:\s*(\w+)\s+module_type\s*:\s*([\w:/]+)")
_LABEL = re.compile(
    r"(?:[Mm]odule with label|Module label|for label)\s+'?(\w+)'?(?: of type ([\w:/]+))?"
)
_ENTRY = re.compile(r"Entry with name (\S+) in path (\w+)")
_SERVICE = re.compile(r"(?:service_type\s*:|construction of service type)\s+([\w:]+?):?(?:\s|$)")
_FAILED_SOURCE = re.compile(r"Configuration of main input source has failed")
_OF_SOURCE = re.compile(r"(?:\b(beginJob|endJob) )?of the 'source'")
_PATH = re.compile(r"(?:going through path|[Ff]ailing path|specified in path)\s+(\w+)")
_PHASES = {  # what the message facility calls a phase: what people do
    "Construction": "construction",
    "BeginModule": "event",
    "Early": "construction",
}


def kind(header: str) -> str:
    """Return what stands before the first single colon of a header."""
    match = _KIND.match(header)
    return match.group(1).strip() if match else ""


def phase_of(word: str) -> str:
    """Return the phase that a word of a message's context means, as `Construction` or `EndJob`."""
    return _PHASES.get(word) or word[:1].lower() + word[1:]


def from_header(header: str, *, is_own: bool) -> Finding:
    """Return the place that a message's header names; `is_own` where art itself wrote it."""
    fields: Finding = {}
    when = _WHEN.search(header)
    if when:
        fields.update(zip(NUMBERS, when.groups()))  # noqa: B905 - Python 3.6
    context = _CONTEXT.search(header + " ")
    if context:
        fields["module_type"], fields["module_label"] = context.group(1), context.group(2)
        fields["phase"] = phase_of(context.group(3))
        return fields
    words = header.partition(":")[2].split()
    if words and words[0].endswith("Construction"):
        fields["phase"] = "construction"
    elif words:
        is_post = words[0].startswith("Post")
        fields["phase"] = _PHASES.get(words[0], "event loop" if is_post else None)
    elif is_own:
        fields["phase"] = "parse"  # before the message facility knows where the job is
    return fields


def from_body(body: str) -> Finding:
    """Return the place that a message's text names."""
    fields = _module_fields(body)
    path = _PATH.search(body)
    if path and "path" not in fields:
        fields["path"] = path.group(1)
    return fields


def merge(header: Finding, body: Finding) -> Finding:
    """Return one place of two.

    The header names the module that art was at last, the text the one that failed: of two
    different ones nothing of the header's is left.
    """
    merged = dict(header)
    label = body.get("module_label")
    if body.get("service") or (label and label != header.get("module_label")):
        for field in ("module_label", "module_type"):
            merged.pop(field, None)
    merged.update((name, value) for name, value in body.items() if value is not None)
    return merged


def _module_fields(body: str) -> Finding:
    """Return the module or service that a text names, and the phase it was in."""
    labelled = _LABELLED.search(body)
    if labelled:
        label, module_type = labelled.groups()
        return {"module_label": label, "module_type": module_type, "phase": "construction"}
    thrown = _THROWN.search(body)
    if thrown:
        fields = dict(zip(_THROWN_FIELDS, thrown.groups()))  # noqa: B905 - Python 3.6
        fields["phase"] = fields["phase"] or _transition(fields)
        return fields
    ended = _END_JOB.search(body)
    if ended:
        return dict(zip(_END_JOB_FIELDS, ended.groups()))  # noqa: B905 - Python 3.6
    return _service_fields(body) or _source_fields(body) or _label_fields(body)


def _service_fields(body: str) -> Finding:
    service = _SERVICE.search(body)
    if service:
        return {"service": service.group(1), "phase": "services"}
    plugin = art_subject.plugin_looked_for(body)
    if plugin and plugin.kind == "service":
        return {"service": plugin.name, "phase": "services"}
    return {}


def _source_fields(body: str) -> Finding:
    if _FAILED_SOURCE.search(body):
        return {"module_label": "source", "phase": "construction"}
    of_source = _OF_SOURCE.search(body)
    if of_source:
        return {"module_label": "source", "phase": of_source.group(1)}
    return {}


def _label_fields(body: str) -> Finding:
    """Return label and type of a module that art could not make."""
    entry = _ENTRY.search(body)
    if entry:
        return {"module_label": entry.group(1), "path": entry.group(2)}
    plugin = art_subject.plugin_looked_for(body)
    is_module = plugin is not None and plugin.kind in ("module", "source")
    fields = {"module_type": plugin.name} if plugin is not None and is_module else {}
    label = _LABEL.search(body)
    if label:
        fields["module_label"] = label.group(1)
        if label.group(2):
            fields["module_type"] = label.group(2)
    return fields


def _transition(fields: Finding) -> Optional[str]:
    """Return the phase by the numbers that art gives.

    Whether it is a begin or an end, they do not say.
    """
    for field, phase in (("event", "event"), ("subrun", "subRun"), ("run", "run")):
        if fields[field]:
            return phase
    return None
