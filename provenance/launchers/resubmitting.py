"""How recorded jobs are submitted again by hand: a submit file, or a script around jobsub_submit.

Both run `retry-job.sh` with the hook beside it, on the jobs' own bundles. `jobprov retry` writes
these files; the service only makes their text.

Source: HTCondor manual, condor_submit; jobsub_lite's options (`-G`, `-N`, `-e`, `-f dropbox://`,
`--memory`, `--blacklist`).
"""

import shlex
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from jobprov.provenance.launchers.condor.launcher import checked, quoted

HOOK = "job-end-hook.pyz"
SCRIPT = "retry-job.sh"
TICKET = "jobprov.ticket"
SUBMIT_FILE = "retry.sub"
_MIB = 1 << 20


class Repeat(NamedTuple):
    """One recorded job that is to be retried.

    Attributes:
        order_id: of this try; the batch system gets it too.
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
    and_ticket = f", and {TICKET}" if with_ticket else ""
    lines = [
        f"{_retries(repeats)} Beside it: {SCRIPT}, {HOOK},",
        f"# and the jobs' bundles{and_ticket}. Then: condor_submit {SUBMIT_FILE}",
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


def _retries(repeats: Sequence[Repeat]) -> str:
    return (
        f"# Tries {len(repeats)} recorded jobs again, with the recorded code, "
        "configuration and inputs."
    )


def _condor_lines(repeat: Repeat, variables: dict[str, str], ticket: list[str]) -> list[str]:
    if ticket:
        variables = variables | {"JOBPROV_TOKEN_FILE": TICKET}
    environment = " ".join(f"{name}={quoted(value)}" for name, value in variables.items())
    lines = [
        f"# unit {checked(repeat.unit)} of task {checked(repeat.task_id)}",
        f"arguments = {repeat.bundle_file}",
        f'environment = "{environment}"',
        f"transfer_input_files = {', '.join([HOOK, *ticket, repeat.bundle_file])}",
        f'MY.JobprovJob = "{repeat.order_id}"',
        f"output = {repeat.order_id}.out",
        f"error = {repeat.order_id}.err",
    ]
    if repeat.memory_bytes:
        lines.append(f"request_memory = {-(-repeat.memory_bytes // _MIB)}M")
    if repeat.avoided_sites:
        sites = [f'(GLIDEIN_Site =!= "{checked(site)}")' for site in repeat.avoided_sites]
        lines.append(f"requirements = {' && '.join(sites)}")
    return [*lines, "queue"]


def jobsub_script(repeats: Sequence[Repeat], *, experiment: str, url: str) -> str:
    """Return a shell script that submits all repeats; jobs fetch their bundles.

    Repeats that need the same memory and sites share one `jobsub_submit`.
    """
    groups: dict[tuple[int | None, tuple[str, ...]], list[Repeat]] = defaultdict(list)
    for repeat in repeats:
        groups[repeat.memory_bytes, repeat.avoided_sites].append(repeat)
    lines = [
        "#!/bin/sh",
        f"{_retries(repeats)} Beside it: {SCRIPT}, {HOOK},",
        f"# and {TICKET} where the service asks for one.",
        "set -e",
        'cd "$(dirname "$0")"',
    ]
    for number, ((memory, sites), group) in enumerate(groups.items(), 1):
        file = f"retry-{number}.list"
        entries = [_list_line(repeat, experiment, url) for repeat in group]
        lines += [f"cat > {file} <<'LIST'", *entries, "LIST"]
        command = ["jobsub_submit", "-G", experiment, "-N", str(len(group))]
        if memory:
            command.append(f"--memory={-(-memory // _MIB)}MB")
        if sites:
            command.append(f"--blacklist={','.join(sites)}")
        command += ["-e", f"JOBPROV_URL={url}", "-e", f"JOBPROV_EXPERIMENT={experiment}"]
        command += ["-e", f"JOBPROV_TOKEN_FILE={TICKET}"]
        dropped = " ".join(f'-f "dropbox://$PWD/{name}"' for name in (HOOK, file))
        ticket = f'$([ ! -f {TICKET} ] || echo "-f dropbox://$PWD/{TICKET}")'
        script = f'"file://$PWD/{SCRIPT}" --list {file}'
        lines.append(f"{shlex.join(command)} {dropped} {ticket} {script}")
    return "\n".join([*lines, ""])


def _list_line(repeat: Repeat, experiment: str, url: str) -> str:
    bundle = f"{url}/api/v1/jobs/{repeat.job_id}/bundle?experiment={quote(experiment, safe='')}"
    fields = [
        repeat.task_id,
        repeat.stage or "",
        repeat.campaign or "",
        repeat.unit,
        repeat.job_id,
        bundle,
    ]
    return "\t".join(checked(field.replace("\t", " ")) for field in fields)


def _variables(repeat: Repeat, experiment: str, url: str) -> dict[str, str]:
    variables = {
        "JOBPROV_URL": url,
        "JOBPROV_EXPERIMENT": experiment,
        "JOBPROV_TASK_ID": repeat.task_id,
        "JOBPROV_UNIT": repeat.unit,
        "JOBPROV_RETRY_OF": repeat.job_id,
        "JOBPROV_STAGE": repeat.stage,
        "JOBPROV_CAMPAIGN": repeat.campaign,
    }
    return {name: value for name, value in variables.items() if value}
