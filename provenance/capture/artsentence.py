"""The one line that a text of art comes down to, and where it happened, in words."""

import re

CARRIERS = frozenset(["Parse error"])  # blocks that say where, and what is inside says what
_PARAMETER = re.compile(r"FHiCL parameter '[^'\n]+'")
_RULE = re.compile(r"^[\s=*_~+#-]*$")
_LIST = re.compile(r"^(Missing|Unsupported) parameters:$")
_LINE = re.compile(r"at (?:or near )?line (\d+), character \d+, of file \"([^\"]+)\"")
_END_JOB = re.compile(r"^[\w:]+/\w+\s+during\s+\w+\s*(.*)$")
_SAYS_NOTHING = re.compile(
    r"^(?:.*was thrown while processing module |.*occurred during a (?:previous )?call to|!! The following"
    r"|Any parameters prefaced|(?:Module label|module_type ?|service_type ?):|cet::exception caught in"
    r"|Standard library exception caught|std::bad_alloc exception caught|EventProcessor: an exc|EndPathExecutor: an exc"
    r"|Path: ProcessingStopped|Exception going through path|The following were encountered|An error occurred while processing"
    r"|Unable to create ServiceHandle|Perhaps the FHiCL|The class of the service|ServiceCreation$|\[Specific error:\]$|(?:Error|Warning|Info) in <"
    r"|Skipping event due to|Failing path .* due to|Module (?:ignored an|failed due to an) exception)"
)


def say_chain(chain, body):
    """Return the sentence of nested blocks, [(name, lines)].

    What the innermost says, behind what another kind around it adds.
    """
    name, lines = chain[-1]
    inner = say(lines, body)
    parameter = _PARAMETER.search(body)
    if parameter and parameter.group() not in inner:
        inner = "{}: {}".format(parameter.group(), inner)
    around = [_first(told, "") for other, told in chain[:-1] if other not in (name, *CARRIERS)]
    return ": ".join([words.rstrip(":. ") for words in around if words] + [inner])


def say(lines, body):
    """Return the sentence of a block's lines; `body` is all of the text around."""
    for line in lines:
        ended = _END_JOB.match(line)
        if ended and ended.group(1):
            return ended.group(1)
    sentence = _parameters(lines) or _first(lines)
    line = _LINE.search(body)
    if line and line.group(2) not in sentence:
        return "{} (line {} of {})".format(sentence, *line.groups())
    return sentence


def with_place(found):
    """Return a finding's message with phase, module and event behind it, as far as it does not say them itself."""
    place = ", ".join(
        words for words in (_module(found), _phase(found), event_words(found)) if words
    )
    message = found.get("message") or "no text"
    return "{} ({})".format(message, place) if place else message


def event_words(found):
    """Return `run 1 subRun 2 event 3` as far as a finding knows, or an empty text."""
    names = (("run", "run"), ("subRun", "subrun"), ("event", "event"))
    return " ".join("{} {}".format(word, found[name]) for word, name in names if found.get(name))


def is_rule(line):
    """Tell whether a line only draws a rule, or is empty."""
    return bool(_RULE.match(line))


def _module(found):
    if found.get("service"):
        return "service " + found["service"]
    label = found.get("module_label")
    if not label:
        return ""
    return (
        "{}/{}".format(found["module_type"], label)
        if found.get("module_type")
        else "module " + label
    )


def _phase(found):
    """Return the phase; an event's is told by its number."""
    return "" if found.get("phase") == "event" and found.get("event") else found.get("phase") or ""


def _first(lines, otherwise="no text"):
    """Return the first line that says something, with the next where it ends in a colon."""
    told = [line for line in lines if not is_rule(line) and not _SAYS_NOTHING.match(line)]
    if not told:
        told = [line for line in lines if not is_rule(line) and otherwise][:1] or [otherwise]
    return " ".join(told[:2]) if told[0].endswith(":") else told[0]


def _parameters(lines):
    """Return `Missing parameters: pMin: <double>` of a configuration check, or an empty text."""
    found, is_listed = [], False
    for line in lines:
        match = _LIST.match(line)
        if match:
            is_listed = True
            found.append(match.group())
        elif is_listed and line[:1] in ("-", "+") and not is_rule(line):
            found.append(re.sub(r"\s+", " ", line[1:].strip()))
    return " ".join(found)
