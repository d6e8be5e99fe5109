"""What the commands say of files and jobs: one sentence that answers, then the facts, then what to type next."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobprov.provenance.lineage.words import counted, duration, size
from jobprov.provenance.records.verdicts import rank

_LISTED = 10


def file_text(shown: dict[str, Any], job: dict[str, Any] | None, url: str) -> str:
    """Return what made a file, as text."""
    file = shown["file"]
    lines = [_file_sentence(shown, job), ""]
    for version in shown["versions"][:_LISTED]:
        words = [
            size(version["size_bytes"]),
            *version["checksums"],
            version["data_tier"],
            _events(version["event_count"]),
        ]
        lines.append(
            _fact(f"version {version['number']}", ", ".join(word for word in words if word))
        )
    lines += _names("from", [parent["name"] for parent in shown["parents"]])
    lines += _names("became", [child["name"] for child in shown["children"]])
    lines += _names("lies at", shown["locations"])
    if job is not None:
        lines += _software(job)
        lines += [
            _fact(
                "job",
                f"{job['summary']['job_id']} ({job['summary']['state']}, grade {job['grade']})",
            )
        ]
        lines += [_fact("rerun", f"jobprov rerun {job['summary']['job_id']} --into FOLDER")]
    lines.append(_fact("page", f"{url}{file['url']}"))
    return "\n".join(lines)


def job_text(shown: dict[str, Any], url: str) -> str:
    """Return what there is to know of a job, as text."""
    summary = shown["summary"]
    exit_facts, task = summary["exit"], summary["task"]
    lines = [_job_sentence(summary, shown["verdicts"]), ""]
    where = " of ".join(word for word in (task["task_id"], task["stage"], task["campaign"]) if word)
    lines += [
        _fact(
            "job",
            summary["job_id"] + (f" (batch {summary['batch_id']})" if summary["batch_id"] else ""),
        )
    ]
    lines += [_fact("task", where)] if where else []
    lines += [
        _fact(
            "ran",
            f"{_place(summary)}, {_moment(summary['started_at'])} to {_moment(summary['ended_at'])}",
        )
    ]
    lines += [_fact("error", exit_facts["message"])] if exit_facts["message"] else []
    lines += _software(shown)
    lines += _names("read", [file["name"] for file in shown["inputs"]])
    lines += _names("wrote", [_output(file) for file in shown["outputs"]])
    lines += _names("logs", [log["name"] for log in shown["merged"].get("logs") or []])
    lines += [_fact("grade", f"{shown['grade']}, {counted(len(shown['gaps']), 'gap')}")]
    for gap in shown["gaps"][:_LISTED]:
        lines += [_fact("gap", f"{gap['message']} {gap['how_to_close']}")]
    lines += [
        _fact("rerun", f"jobprov rerun {summary['job_id']} --into FOLDER"),
        _fact("page", f"{url}{summary['url']}"),
    ]
    return "\n".join(lines)


def _file_sentence(shown: dict[str, Any], job: dict[str, Any] | None) -> str:
    name, users = shown["file"]["name"], shown["consumer_count"]
    if job is None:
        return f"{name} was not made by a recorded job; {counted(users, 'job')} used it."
    summary = job["summary"]
    identity = summary["batch_id"] or summary["job_id"]
    task = f" (task {summary['task']['task_id']})" if summary["task"]["task_id"] else ""
    code = f" with {summary['code']}" if summary["code"] else ""
    mains = [entry["main"] for entry in job["configurations"] if entry.get("main")]
    fcl = f" and {', '.join(mains[:3])}" if mains else ""
    source = (
        f", from {counted(len(shown['parents']), 'file')}" if shown["parents"] else ", from no file"
    )
    ended = _moment(summary["ended_at"])
    return (
        f"{name} was made by job {identity}{task} on {_place(summary)}, {ended}{source}{code}{fcl}."
    )


def _job_sentence(summary: dict[str, Any], verdicts: list[dict[str, Any]]) -> str:
    seconds, facts = summary["resources"]["wall_seconds"], summary["exit"]
    took = f" after {duration(seconds)}" if seconds is not None else ""
    if summary["state"] == "succeeded":
        best = max((str(verdict["level"]) for verdict in verdicts), key=rank, default="")
        again = f"; rerun {counted(len(verdicts), 'time')}, best outcome {best}" if verdicts else ""
        return f"Succeeded{took}{again}."
    step = f" in step {facts['failed_step']}" if facts["failed_step"] else ""
    code = f" with exit code {facts['code']}" if facts["code"] is not None else ""
    signal = f" by signal {facts['signal']}" if facts["signal"] is not None else ""
    cause = f": {facts['error_class']}" if facts["error_class"] else ""
    return f"{str(summary['state']).capitalize()}{step}{code}{signal}{took}{cause}."


def _software(job: dict[str, Any]) -> list[str]:
    lines = []
    for entry in job["software"][:_LISTED]:
        found = entry.get("resolution") or {}
        commit = found.get("commit") or entry.get("revision")
        product = entry.get("product") or {}
        words = [
            entry.get("requested_ref") or product.get("version"),
            f"commit {commit}" if commit else None,
            "inferred from its version" if found.get("evidence") == "inferred" else None,
            "changed" if entry.get("is_dirty") else None,
        ]
        kept = "kept here" if found else "not kept here"
        lines.append(
            _fact(
                "code", f"{entry.get('name')} {', '.join(word for word in words if word)} ({kept})"
            )
        )
    for place, entry in enumerate(job["configurations"][:_LISTED]):
        step = entry.get("step") or place
        lines.append(
            _fact(
                "fcl",
                f"{entry.get('main')} with {counted(len(entry.get('files') or []), 'file')} (step {step})",
            )
        )
    return lines


def _output(file: dict[str, Any]) -> str:
    words = [
        word
        for word in (
            file.get("status"),
            size(file["size_bytes"]) if file.get("size_bytes") is not None else None,
        )
        if word
    ]
    return f"{file['name']} ({', '.join(words)})" if words else str(file["name"])


def _names(title: str, names: Iterable[str]) -> list[str]:
    listed = list(names)
    lines = [
        _fact(title if place == 0 else "", name) for place, name in enumerate(listed[:_LISTED])
    ]
    return lines + (
        [_fact("", f"… and {len(listed) - _LISTED} more")] if len(listed) > _LISTED else []
    )


def _events(count: int | None) -> str | None:
    return None if count is None else counted(count, "event")


def _place(summary: dict[str, Any]) -> str:
    host, site = summary["host"]["hostname"], summary["host"]["site"]
    return f"{host or 'an unknown host'} at {site}" if site else str(host or "an unknown host")


def _moment(text: str | None) -> str:
    return (
        datetime.fromisoformat(text).strftime("%-d %b %Y %H:%M UTC") if text else "an unknown time"
    )


def _fact(title: str, words: str) -> str:
    return f"{title:<10} {words}"
