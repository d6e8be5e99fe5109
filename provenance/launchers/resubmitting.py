"""Recorded jobs as they are submitted again by hand.

A submit file for condor_submit, a script around jobsub_submit.

Both run `retry-job.sh` with the hook beside it, on the jobs' own bundles. `jobprov retry` lays
these files out; the service only says the text. Source: HTCondor manual, condor_submit;
jobsub_lite's options (`-G`, `-N`, `-e`, `-f dropbox://`, `--memory`, `--blacklist`).
"""

import shlex
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from jobprov.provenance.launchers.condor_launcher import checked, quoted

HOOK = "job-end-hook.pyz"
SCRIPT = "retry-job.sh"
TICKET = "jobprov.ticket"
SUBMIT_FILE = "retry.sub"
_MIB = 1 << 20


class Repeat(NamedTuple):
    """One recorded job that is to be tried again.

    Attributes:
        order_id: names the try; goes into the batch system with it.
        job_id: the recorded job, whose bundle is run.
        inputs: names of the files that it reads.
    """

    order_id: str
    job_id: str
    task_id: str
    unit: str
    stage: str | None
    campaign: str | None
    inputs: tuple[str, ...] = ()
    memory_bytes: int | None = None
    avoided_sites: tuple[str, ...] = ()

    @property
    def bundle_file(self) -> str:
        """The name under which its bundle lies beside the submit file."""
        return f"{self.job_id}.tar"


def submit_file(
    repeats: Sequence[Repeat], *, experiment: str, url: str, with_ticket: bool = False
) -> str:
    """Return a submit file of all repeats, one cluster.

    It expects script, hook, ticket and bundles beside it.
    """
    lines = [
        f"# Tries {len(repeats)} recorded jobs again, with the recorded code, configuration and inputs. Beside it: {SCRIPT}, {HOOK},",
        f"# and the jobs' bundles{f', and {TICKET}' if with_ticket else ''}. Then: condor_submit {SUBMIT_FILE}",
        "universe = vanilla",
        f"executable = {SCRIPT}",
        "should_transfer_files = YES",
        "when_to_transfer_output = ON_EXIT",
        "log = retry.log",
        "job_ad_information_attrs = GlobalJobId, NumShadowStarts",
    ]
    ticket = [TICKET] if with_ticket else []
    for repeat in repeats:
        lines += ["", *_condor_lines(repeat, _variables(repeat, experiment, url), ticket)]
    return "\n".join([*lines, ""])


def _condor_lines(repeat: Repeat, told: dict[str, str], ticket: list[str]) -> list[str]:
    told = told | ({"JOBPROV_TOKEN_FILE": TICKET} if ticket else {})
    variables = " ".join(f"{name}={quoted(value)}" for name, value in told.items())
    sites = " && ".join(f'(GLIDEIN_Site =!= "{checked(site)}")' for site in repeat.avoided_sites)
    memory = repeat.memory_bytes
    return [
        f"# unit {checked(repeat.unit)} of task {checked(repeat.task_id)}",
        f"arguments = {repeat.bundle_file}",
        f'environment = "{variables}"',
        f"transfer_input_files = {', '.join([HOOK, *ticket, repeat.bundle_file])}",
        f'MY.JobprovJob = "{repeat.order_id}"',
        f"output = {repeat.order_id}.out",
        f"error = {repeat.order_id}.err",
        *([f"request_memory = {-(-memory // _MIB)}M"] if memory else []),
        *([f"requirements = {sites}"] if sites else []),
        "queue",
    ]


def jobsub_script(repeats: Sequence[Repeat], *, experiment: str, url: str) -> str:
    """Return a shell script that submits all repeats, one `jobsub_submit` for those that ask for the same; jobs fetch their bundles."""
    groups: dict[tuple[int | None, tuple[str, ...]], list[Repeat]] = defaultdict(list)
    for repeat in repeats:
        groups[repeat.memory_bytes, repeat.avoided_sites].append(repeat)
    lines = [
        "#!/bin/sh",
        f"# Tries {len(repeats)} recorded jobs again, with the recorded code, configuration and inputs. Beside it: {SCRIPT}, {HOOK},",
        f"# and {TICKET} where the service asks for one.",
        "set -e",
        'cd "$(dirname "$0")"',
    ]
    for number, ((memory, sites), group) in enumerate(groups.items(), 1):
        file = f"retry-{number}.list"
        lines += [
            f"cat > {file} <<'LIST'",
            *(_list_line(repeat, experiment, url) for repeat in group),
            "LIST",
        ]
        words = ["jobsub_submit", "-G", experiment, "-N", str(len(group))]
        words += [f"--memory={-(-memory // _MIB)}MB"] if memory else []
        words += [f"--blacklist={','.join(sites)}"] if sites else []
        words += ["-e", f"JOBPROV_URL={url}", "-e", f"JOBPROV_EXPERIMENT={experiment}"]
        words += ["-e", f"JOBPROV_TOKEN_FILE={TICKET}"]
        dropped = " ".join(f'-f "dropbox://$PWD/{name}"' for name in (HOOK, file))
        ticket = f'$([ ! -f {TICKET} ] || echo "-f dropbox://$PWD/{TICKET}")'
        lines.append(f'{shlex.join(words)} {dropped} {ticket} "file://$PWD/{SCRIPT}" --list {file}')
    return "\n".join([*lines, ""])


def _list_line(repeat: Repeat, experiment: str, url: str) -> str:
    bundle = f"{url}/api/v1/jobs/{repeat.job_id}/bundle?experiment={quote(experiment, safe='')}"
    fields = (
        repeat.task_id,
        repeat.stage or "",
        repeat.campaign or "",
        repeat.unit,
        repeat.job_id,
        bundle,
    )
    return "\t".join(checked(field.replace("\t", " ")) for field in fields)


def _variables(repeat: Repeat, experiment: str, url: str) -> dict[str, str]:
    told = {
        "JOBPROV_URL": url,
        "JOBPROV_EXPERIMENT": experiment,
        "JOBPROV_TASK_ID": repeat.task_id,
        "JOBPROV_UNIT": repeat.unit,
        "JOBPROV_RETRY_OF": repeat.job_id,
        "JOBPROV_STAGE": repeat.stage,
        "JOBPROV_CAMPAIGN": repeat.campaign,
    }
    return {name: value for name, value in told.items() if value}
