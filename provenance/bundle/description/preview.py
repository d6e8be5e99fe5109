"""`ro-crate-preview.html`: the bundle in one self-contained page for people, without scripts."""

import re
from collections.abc import Sequence
from html import escape

from jobprov.provenance.bundle.fields import RecordPart
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.steps import Step

_STYLE = (
    "body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "td,th{text-align:left;padding:0 1rem .2rem 0;vertical-align:top;overflow-wrap:anywhere}"
    "pre{overflow:auto;background:#f4f4f4;padding:.5rem}"
)
_MOST = 500  # files listed; all of them are in the tables
_PLAIN_LINK = re.compile(r"[A-Za-z0-9._+/-]+\Z")


def preview(payload: Payload, files: Sequence[str], date: str) -> bytes:
    """The page for people: what ran, how to rerun it, inputs, outputs, gaps, and the files here."""
    record = payload.record
    job_id = record.text("job_id")
    task = record.part("task")
    facts = [
        ("experiment", record.text("experiment")),
        ("task", task.text("task_id")),
        ("stage", task.text("stage")),
        ("state", record.text("state")),
        ("ended", date),
    ]
    commands = "\n".join(_command_line(step) for step in payload.steps)
    needs = [(need.kind, need.name, need.digest, need.why) for need in payload.needs.sorted()]
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        (
            f"<title>Rerun bundle of job {_text(job_id)}</title>\n"
            f"<style>{_STYLE}</style>\n</head>\n<body>\n"
        ),
        f"<h1>Rerun bundle of job {_text(job_id)}</h1>\n",
        _table("", [(name, value) for name, value in facts if value]),
        "<h2>Run it again</h2>\n<pre>sh run.sh --check\nsh run.sh OUT\nsh verify.sh OUT</pre>\n",
        '<p>A POSIX shell and coreutils do; <a href="README.txt">README.txt</a> says how.</p>\n',
        f"<h2>What ran</h2>\n<pre>{_text(commands)}</pre>\n",
        _files("Inputs", record.parts("inputs")),
        _files("Outputs", record.parts("outputs")),
        _table("<h2>Still needed</h2>\n", needs[:_MOST]) if needs else "",
        "<h2>Files here</h2>\n<ul>\n",
        *map(_item, files),
        "</ul>\n</body>\n</html>\n",
    ]
    return "".join(parts).encode("utf-8", "replace")


def _command_line(step: Step) -> str:
    return " ".join(percent(argument) for argument in step.argv)


def _files(title: str, files: Sequence[RecordPart]) -> str:
    if not files:
        return ""
    table = []
    for file in files[:_MOST]:
        size = str(file.fields.get("size_bytes") or "")
        table.append((file.text("name"), size, file.text("sha256")))
    more = f"<p>and {len(files) - _MOST} more</p>\n" if len(files) > _MOST else ""
    return _table(f"<h2>{title}</h2>\n", table) + more


def _table(title: str, table: Sequence[Sequence[str]]) -> str:
    body = "".join(_table_row(row) for row in table)
    return f"{title}<table>\n{body}</table>\n"


def _table_row(row: Sequence[str]) -> str:
    heading, *cells = row
    others = "".join(f"<td>{_text(cell)}</td>" for cell in cells)
    return f"<tr><th>{_text(heading)}</th>{others}</tr>\n"


def _item(path: str) -> str:
    label = _text(path)
    if _PLAIN_LINK.match(path):
        return f'<li><a href="./{label}">{label}</a></li>\n'
    return f"<li>{label}</li>\n"


def _text(recorded: str) -> str:
    return escape(percent(recorded)) if recorded else ""
