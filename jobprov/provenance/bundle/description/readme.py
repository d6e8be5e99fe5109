"""`README.txt`: what a bundle can do and what it cannot, for somebody who has only the bundle.

The text that is the same for every job is in the edition's templates; the sentences about this job
are made here. Like everything in a bundle, they depend on the plan's ingredients alone.
"""

import shlex
import textwrap
from collections.abc import Iterable, Sequence

from jobprov.provenance.bundle.description.gap_list import KnownGaps, stopped_level
from jobprov.provenance.bundle.fields import RecordPart, recorded_files
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.needs import Need
from jobprov.provenance.bundle.payload.ending import FAILED
from jobprov.provenance.bundle.payload.payload import Expected, Payload
from jobprov.provenance.bundle.templates import filled, template
from jobprov.provenance.records.files.inputs import ABSENT

_WIDTH = 118
_MOST = 30
"""Lines of each list: the tables have everything."""
_MOST_OF_KIND = 8
_LONGEST_COMMAND = 1000
_ENVIRONMENT_KINDS = ("interpreter", "pip", "product", "compiler", "os-packages")
_HOLDS = (
    "the description of the job",
    "its code, configuration and scripts, and what was recorded of its environment",
    "its inputs of up to 16 MiB, and the constants from databases",
    "its environment, as a file of its own (the capsule)",
    "all of its inputs",
)
_HOW_TO_GET = {
    "input": (
        "Give the folder where the files are: --input-dir FOLDER. They are recognised by size and "
        "SHA-256 whatever they are called there, without a SHA-256 by name and size."
    ),
    "conditions": "Ask the database for this tag; nothing else has these constants.",
    "code": "Get the commit from a clone of the repository.",
    "submodule": "Get the commit from a clone of the repository.",
    "software": "Get it where the experiment keeps its releases.",
    "script": "Look for a file with this SHA-256 where the experiment keeps its scripts.",
    "configuration": "Look for a file with this SHA-256 where the experiment keeps its fcl.",
    "environment": "Nobody recorded it; take it from a similar job.",
    "program": (
        "Install it, or put its folder in PATH before you call run.sh, or name what to use in its "
        "place: --program NAME=FILE."
    ),
    "interpreter": (
        "Install this version, or one that is close to it; where it lies elsewhere here, name it: "
        "--program PLACE=FILE."
    ),
    "compiler": "Install this version: other compilers make other numbers.",
    "pip": (
        "env/requirements.txt has them for pip, parted by folder, the operating system's own as "
        "comments; a digest is that of the wheel's RECORD."
    ),
    "product": "Set the product up as the experiment did, before you call run.sh.",
    "os-packages": (
        "`sh env/install-os-packages.sh` prints the commands that install these very versions, "
        "and obeys them with --now; env/os-packages.txt explains them."
    ),
    "container": "Pull the image, save it to a file, and call run.sh with --capsule FILE.",
    "capsule": (
        "It is a file of its own with this SHA-256; call run.sh with --capsule FILE or FOLDER."
    ),
}
_RULES = {
    "masked": "equal bytes, apart from dates and ids of a ROOT file",
    "content": "equal content",
    "unordered": "equal content, with the entries in any order",
    "text": "equal text, apart from what the experiment masks",
    "numeric": "numbers equal within the tolerance of the experiment",
    "histograms": "histograms that are statistically compatible",
}


def add_readme(payload: Payload, known: KnownGaps, *, level: int) -> None:
    """Write README.txt."""
    record = payload.record
    marks = {
        "@JOB@": percent(record.text("job_id")),
        "@IDENTITY@": _wrapped(_identity(record)),
        "@STATE@": _wrapped(f"{_run(record)}{_state(record)}"),
        "@HOLDS@": "\n".join(_holds(payload, known, level)),
        "@COMPARES@": "\n".join(_compares(record, payload.expected)),
        "@MISSING@": "\n".join(_missing(payload)),
        "@WEAK@": "\n".join(_weak(known, record)),
        "@SYSTEM@": "\n".join(_system(payload)),
        "@PLACES@": "\n".join(_places(payload)),
    }
    payload.write("README.txt", filled(template(payload.edition, "README.txt"), marks))


def _wrapped(sentence: str, *, first: str = "", then: str = "") -> str:
    """The sentence in lines; a line end that is recorded in it becomes %0A."""
    return textwrap.fill(
        percent(sentence),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _item(sentence: str) -> str:
    return _wrapped(sentence, first="  - ", then="    ")


def _identity(record: RecordPart) -> str:
    task = record.part("task")
    facts = (
        ("experiment", record.text("experiment") or "unknown"),
        ("task", task.text("task_id")),
        ("stage", task.text("stage")),
        ("ended", record.text("ended_at")),
        ("on", record.part("host").text("hostname")),
    )
    return ", ".join(f"{word} {value}" for word, value in facts if value)


def _run(record: RecordPart) -> str:
    """What ran, where and how long, as sentences with a blank behind each."""
    command, resources = record.part("command"), record.part("resources")
    argv = shlex.join(command.texts("argv"))
    if not argv:
        return ""
    if len(argv) > _LONGEST_COMMAND:
        argv = f"{argv[:_LONGEST_COMMAND]}... (command/argv.txt has all of it)"
    folder = command.text("working_directory")
    sentences = [f"It ran {argv}{f' in {folder}' if folder else ''}."]
    seconds, memory = resources.fields.get("wall_seconds"), resources.number("max_rss_bytes")
    if isinstance(seconds, int | float):
        sentences.append(f"That took {seconds:.0f} s.")
    if memory is not None:
        sentences.append(f"Its memory was {memory / 1e6:.0f} MB at most.")
    return " ".join(sentences) + " "


def _state(record: RecordPart) -> str:
    state, ending = record.text("state"), record.part("exit")
    if state == "succeeded":
        return "The job succeeded."
    if state not in FAILED:
        return (
            f"The record does not say how the job ended (its state is {state or 'unknown'}), so a "
            "rerun gets no verdict."
        )
    sentence = "The job was killed" if state == "killed" else "The job failed"
    code, message = ending.number("code"), ending.text("message")
    if code is not None:
        sentence += f" with exit code {code}"
    sentences = [f"{sentence}."]
    if message:
        sentences.append(f'The recorded reason: "{message}".')
    absent = [file.text("name") for file in record.parts("inputs") if file.text("status") == ABSENT]
    names = ", ".join(absent[:_MOST_OF_KIND])
    if names:
        sentences.append(
            f"These inputs were not there, and must not be there for a rerun: {names}."
        )
    sentences.append("A rerun that repeats this fails in the same way: verify.sh then says R1=.")
    return " ".join(sentences)


def _holds(payload: Payload, known: KnownGaps, level: int) -> list[str]:
    """What is in the bundle, and how far it can be trusted."""
    held = [f"Closure level L{level}, by the files that are here. Complete in this bundle:"]
    held += [_item(what) for what in _HOLDS[: level + 1]]
    if level < len(_HOLDS) - 1:
        held.append('Not complete, or not here (see "What is missing"):')
        held.append(_item(_HOLDS[level + 1]))
    stopping = [gap for gap in known.gaps if stopped_level(gap)]
    if known.grade < min(level, payload.level):
        held.append(
            _wrapped(
                f"Its grade is lower, L{known.grade}, because of what the record itself lacks or "
                'says was unsafe (see "What may go wrong"): the files are here, and the rerun may '
                "still fail or differ."
            )
        )
    elif not stopping:
        held.append(_wrapped("Nothing that is known of the record speaks against an equal rerun."))
    held.append(
        _wrapped(
            "Whether anybody has run it again is not in here, because that changes: the job's page "
            "in jobprov says so, as long as there is one."
        )
    )
    return held


def _compares(record: RecordPart, expected: Sequence[Expected]) -> list[str]:
    required = [output for output in expected if output.required == "yes"]
    lines = []
    if not required and record.text("state") == "succeeded":
        lines.append(
            _wrapped(
                "NOTHING CAN BE COMPARED: the record has no output that a rerun must make again. "
                "verify.sh answers 2, and there is no level."
            )
        )
    for output in expected[:_MOST]:
        lines.append(_item(f"{output.name}: {_comparison(output)}."))
    if len(expected) > _MOST:
        lines.append(f"  and {len(expected) - _MOST} more: outputs/expected.tsv")
    if not lines:
        lines.append("No output: only the exit code and the recorded reason of the failure.")
    return lines


def _comparison(output: Expected) -> str:
    """How an output is compared, in words."""
    if output.required == "no":
        why = f"status {output.status}" if output.status else "by the experiment's rule"
        return f"is not required ({why}); if it is there, it is compared and not counted"
    if output.size == "0":
        return "was empty, and must be empty again"
    word = output.comparator.partition(" ")[0]
    if word in _RULES:
        how = f"{_RULES[word]}, by the experiment's rule `{output.comparator}`"
        return how if output.reference else f"{how}, as far as a recorded digest allows"
    return _root_comparison(output) if word == "root" else _bytes_comparison(output)


def _root_comparison(output: Expected) -> str:
    if output.content_digest == "-" and not output.reference:
        return (
            "a ROOT file without a recorded content digest: only equal bytes can be told, and a "
            "ROOT file has the date of writing in it"
        )
    return (
        "a ROOT file: the content must be equal; dates and ids in it may differ. A Python with the "
        "package uproot decides"
    )


def _bytes_comparison(output: Expected) -> str:
    if output.sha256 != "-":
        return "the same bytes (SHA-256)"
    if output.checksums != "-":
        return f"the recorded checksum {output.checksums}; adler32 alone can only show a difference"
    return "no checksum was recorded, so it cannot be compared"


def _missing(payload: Payload) -> list[str]:
    """What a rerun needs from outside, by kind."""
    by_kind: dict[str, list[Need]] = {}
    for need in payload.needs.sorted():
        by_kind.setdefault(need.kind, []).append(need)
    if not by_kind:
        return ["Nothing that is known of."]
    lines = []
    for kind, needs in by_kind.items():
        count = f" ({len(needs)})" if len(needs) > 1 else ""
        lines.append(_wrapped(f"{kind}{count}: {_HOW_TO_GET.get(kind, '')}".rstrip()))
        shown = needs[:_MOST_OF_KIND]
        lines += [_item(_need(need)) for need in shown]
        if len(needs) > len(shown):
            lines.append(f"  - and {len(needs) - len(shown)} more: NEEDS.tsv")
    return lines


def _need(need: Need) -> str:
    parts = [need.name or need.kind]
    if need.size is not None:
        parts.append(f"{need.size} bytes")
    if need.digest:
        parts.append(f"digest {need.digest}")
    if need.place:
        parts.append(f"was at {need.place}")
    return f"{', '.join(parts)}: {need.why}"


def _weak(known: KnownGaps, record: RecordPart) -> list[str]:
    """Gaps and the recorder's notes as sentences."""
    lines = []
    for gap in known.gaps[:_MOST]:
        level = stopped_level(gap)
        effect = f"It stops {level}" if level else "It does not lower the grade"
        lines.append(_item(f"{gap.message} {effect} ({gap.code})."))
    if len(known.gaps) > _MOST:
        lines.append(f"  and {len(known.gaps) - _MOST} more: GAPS.tsv")
    notes = record.part("extra").texts("hook_notes")
    if notes:
        lines.append("The recorder noted:")
        lines += [_item(note) for note in notes[:_MOST]]
    if len(notes) > _MOST:
        lines.append(f"  and {len(notes) - _MOST} more: JOB.json, extra.hook_notes")
    return lines or ["Nothing that is known of."]


def _system(payload: Payload) -> list[str]:
    """Where the job ran, and with which installed software."""
    system, host = payload.environment.part("os"), payload.record.part("host")
    name = " ".join(filter(None, (system.text("id"), system.text("version"))))
    facts = [name or "an unknown system"]
    for word in ("kernel", "libc"):
        if system.text(word):
            facts.append(f"{word} {system.text(word)}")
    if host.text("cpu_model"):
        facts.append(host.text("cpu_model"))
    lines = [_wrapped(f"It ran on {', '.join(facts)}.")]
    compilers = [need.name for need in payload.needs.of_kind("compiler")]
    if compilers:
        named = ", ".join(compilers)
        lines.append(_wrapped(f"Programs were compiled while it ran, by {named}: use the same."))
    lines += _listings(payload)
    container = payload.environment.part("container").text("image")
    if container:
        lines.append(_wrapped(f"It ran inside the container image {container}."))
    if payload.ingredients.capsule is not None:
        lines.append("A capsule with its environment was kept: see env/capsule.json.")
    return lines


def _listings(payload: Payload) -> Iterable[str]:
    find = payload.draft.find
    if find("data/env/os-packages.tsv"):
        yield _wrapped(
            "env/os-packages.tsv lists the packages of the operating system with their versions, "
            "env/os-packages.txt where archives keep them."
        )
    if find("data/env/packages.txt"):
        yield _wrapped("env/packages.txt lists interpreters and packages with their versions.")
    if find("data/env/libs.tsv"):
        yield _wrapped("env/libs.tsv lists the shared libraries that were seen to be loaded.")
    if find("data/env/touched.tsv"):
        yield _wrapped(
            "env/touched.tsv lists every installed file that the job was seen to use, with its "
            "SHA-256: `sh run.sh --check` compares this machine with it."
        )
    if not any(need.kind in _ENVIRONMENT_KINDS for need in payload.needs.sorted()):
        yield "No list of installed packages was recorded."


def _places(payload: Payload) -> list[str]:
    """The absolute paths that the job used outside of its working directory and checkouts."""
    paths = set()
    for file in recorded_files(payload.record):
        path = payload.places.absolute(file.text("path") or file.text("name"))
        place = payload.places.locate(path)
        if place is not None and place.variable == "elsewhere":
            paths.add(path)
    if not paths:
        return ["The job used no file by such a path, as far as is recorded."]
    lines = [_item(path) for path in sorted(paths)[:_MOST_OF_KIND]]
    if len(paths) > len(lines):
        lines.append(
            f"  and {len(paths) - len(lines)} more: inputs/manifest.tsv, scripts/scripts.tsv"
        )
    return ["Files of this job that lay at such paths:", *lines]
