"""How recorded jobs are submitted again by hand: a submit file, or a script around jobsub_submit.

Both run `retry-job.sh` with the hook beside it, on the jobs' own bundles. `jobprov retry` writes
these files; the service only makes their text. What the jobs make comes home: with HTCondor into a
folder for each job beside the submit file; jobsub brings nothing back, so its script wants a place.

Source: HTCondor manual, condor_submit; jobsub_lite's options (`-G`, `-N`, `-e`, `-f dropbox://`,
`--memory`, `--blacklist`).
"""

import posixpath
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

from jobprov.provenance.launchers.condor.ads import Ad
from jobprov.provenance.launchers.condor.launcher import checked, listed, quoted
from jobprov.provenance.launchers.jobsub import environment_options

HOOK = "job-end-hook.pyz"
SCRIPT = "retry-job.sh"
TICKET = "jobprov.ticket"
PLACES = "retry-places.tsv"
SUBMIT_FILE = "retry.sub"
JOBSUB_FILE = "retry.sh"
_MIB = 1 << 20
_SEPARATORS = re.compile(r"[\t\n\r\0]")


class Repeat(NamedTuple):
    """One recorded job that is to be retried.

    Attributes:
        order_id: of this try; the batch system gets it too.
        job_id: the recorded job, whose bundle is run.
        retry_of: the attempt that is tried again: that job, or another that ran its bundle.
        inputs: names of the files that it reads.
        delivered: files here that are to go with the job, since its bundle lacks them.
    """

    order_id: str
    job_id: str
    retry_of: str
    task_id: str
    unit: str
    stage: str | None
    campaign: str | None
    inputs: tuple[str, ...] = ()
    memory_bytes: int | None = None
    avoided_sites: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()

    @property
    def bundle_file(self) -> str:
        """The name under which its bundle lies beside the submit file."""
        return f"{self.job_id}.tar"

    @property
    def home(self) -> str:
        """The folder beside the submit file that its outputs come back in."""
        return f"outputs-{self.order_id}"


class FileCommands(NamedTuple):
    """How jobs reach files that cp, http and xrdcp cannot: commands with `{url}` and `{file}`."""

    fetch: str = ""
    store: str = ""

    def variables(self) -> dict[str, str]:
        """Return the variables that `retry-job.sh` reads, as far as there are commands."""
        variables = {"JOBPROV_FETCH_COMMAND": self.fetch, "JOBPROV_STORE_COMMAND": self.store}
        return {name: value for name, value in variables.items() if value}


class Destination(NamedTuple):
    """Where jobs are to report and to leave what they make.

    Attributes:
        url: of the service.
        output_dir: for outputs of which nothing says where the job's own stage-out put them; None
            for the folders that HTCondor brings back.
    """

    experiment: str
    url: str
    output_dir: str | None = None
    commands: FileCommands = FileCommands()


class KnownPlace(NamedTuple):
    """Where a file of a job is, or belongs, beside what its record says.

    Attributes:
        job_id: the job whose bundle is run.
        kind: `input` or `output`.
        name: of the file; `*` for all outputs that lie in the working folder itself.
        place: a path or address; a folder for `*`.
    """

    job_id: str
    kind: Literal["input", "output"]
    name: str
    place: str


def places_table(places: Iterable[KnownPlace]) -> str:
    """Return the table that gives `retry-job.sh` more places of files."""
    lines = []
    for known in places:
        cells = [cell.replace("\t", " ").replace("\n", " ") for cell in known]
        lines.append("\t".join(cells))
    return "".join(f"{line}\n" for line in lines)


def returned_places(job_id: str, ad: Ad) -> list[KnownPlace]:
    """Return where HTCondor brought the new files of a job back to, by its ad.

    Without a list of files it brings those that lie in the working folder itself.
    """
    folder = str(ad.get("Iwd") or "")
    if not folder.startswith("/") or str(ad.get("ShouldTransferFiles")).upper() == "NO":
        return []
    place_of: dict[str, str] = {}
    for remap in str(ad.get("TransferOutputRemaps") or "").split(";"):
        name, equals, place = remap.strip().partition("=")
        if not equals:
            continue
        if "://" not in place:
            place = posixpath.join(folder, place.strip())
        place_of[name.strip()] = place
    listed = ad.get("TransferOutput")
    if listed is None:
        place_of["*"] = folder
    else:
        for path in str(listed).split(","):
            name = path.strip()
            if name:
                place_of.setdefault(name, posixpath.join(folder, posixpath.basename(name)))
    return [KnownPlace(job_id, "output", name, place) for name, place in place_of.items()]


def submit_file(
    repeats: Sequence[Repeat], destination: Destination, *, with_ticket: bool = False
) -> str:
    """Return a submit file of all repeats, one cluster.

    It expects script, hook, places, ticket and bundles beside it.
    """
    and_ticket = f", and {TICKET}" if with_ticket else ""
    lines = [
        f"{_retries(repeats)} Beside it: {SCRIPT}, {HOOK}, {PLACES},",
        f"# and the jobs' bundles{and_ticket}. Then: condor_submit {SUBMIT_FILE}",
        "# What a job makes goes to where its own stage-out put it, or comes back in outputs-….",
        "universe = vanilla",
        f"executable = {SCRIPT}",
        "should_transfer_files = YES",
        "when_to_transfer_output = ON_EXIT",
        "log = retry.log",
        "job_ad_information_attrs = GlobalJobId, NumShadowStarts",
    ]
    ticket = [TICKET] if with_ticket else []
    for repeat in repeats:
        lines += ["", *_condor_lines(repeat, destination, ticket)]
    return "\n".join([*lines, ""])


def _retries(repeats: Sequence[Repeat]) -> str:
    return (
        f"# Tries {len(repeats)} recorded jobs again, with the recorded code, "
        "configuration and inputs."
    )


def _condor_lines(repeat: Repeat, destination: Destination, ticket: list[str]) -> list[str]:
    """Return the lines of a submit file for one retry."""
    variables = _variables(repeat, destination)
    if ticket:
        variables = variables | {"JOBPROV_TOKEN_FILE": TICKET}
    environment = " ".join(f"{name}={quoted(value)}" for name, value in variables.items())
    files = [HOOK, PLACES, *ticket, repeat.bundle_file, *repeat.delivered]
    arguments = ["--home", repeat.home]
    if destination.output_dir:
        arguments += ["--output-dir", destination.output_dir]
    quoted_arguments = " ".join(quoted(word) for word in [*arguments, repeat.bundle_file])
    lines = [
        # A comment may hold any name that the environment takes; a backslash at its end would join
        # the next line to it
        f"# unit {repeat.unit} of task {repeat.task_id}:",
        f'arguments = "{quoted_arguments}"',
        f'environment = "{environment}"',
        f"transfer_input_files = {', '.join(map(listed, files))}",
        f"transfer_output_files = {repeat.home}",
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


def jobsub_script(repeats: Sequence[Repeat], destination: Destination) -> str:
    """Return a shell script that submits all repeats; jobs fetch their bundles.

    Without a place for outputs it takes one as its argument: jobsub brings no files back.
    Repeats that need the same memory and sites share one `jobsub_submit`.
    """
    groups: dict[tuple[int | None, tuple[str, ...]], list[Repeat]] = defaultdict(list)
    for repeat in repeats:
        groups[repeat.memory_bytes, repeat.avoided_sites].append(repeat)
    lines = [
        "#!/bin/sh",
        f"{_retries(repeats)} Beside it: {SCRIPT}, {HOOK}, {PLACES},",
        f"# and {TICKET} where the service asks for one.",
        f"# usage: {JOBSUB_FILE} OUTPUT_DIR - for outputs whose own stage-out nobody recorded: a",
        "# folder or address that worker nodes can write to. jobsub brings no files back.",
        "set -e",
        _output_dir_line(destination.output_dir),
        'cd "$(dirname "$0")"',
    ]
    for number, ((memory, sites), group) in enumerate(groups.items(), 1):
        file = f"retry-{number}.list"
        entries = [_list_line(repeat, destination) for repeat in group]
        lines += [f"cat > {file} <<'LIST'", *entries, "LIST"]
        command = ["jobsub_submit", "-G", destination.experiment, "-N", str(len(group))]
        if memory:
            command.append(f"--memory={-(-memory // _MIB)}MB")
        if sites:
            command.append(f"--blacklist={','.join(sites)}")
        variables = {
            "JOBPROV_URL": destination.url,
            "JOBPROV_EXPERIMENT": destination.experiment,
            **destination.commands.variables(),
        }
        command += environment_options(variables)
        dropped = " ".join(f'-f "dropbox://$PWD/{name}"' for name in (HOOK, PLACES, file))
        with_ticket = f"-e JOBPROV_TOKEN_FILE={TICKET} -f dropbox://$PWD/{TICKET}"
        ticket = f'$([ ! -f {TICKET} ] || echo "{with_ticket}")'
        script = f'"file://$PWD/{SCRIPT}" --output-dir "$output_dir" --list {file}'
        lines.append(f"{shlex.join(command)} {dropped} {ticket} {script}")
    return "\n".join([*lines, ""])


def _output_dir_line(output_dir: str | None) -> str:
    if output_dir:
        return f"output_dir={shlex.quote(output_dir)}"
    return 'output_dir=${1:?"name a folder or address for the outputs"}'


def _list_line(repeat: Repeat, destination: Destination) -> str:
    experiment = quote(destination.experiment, safe="")
    bundle = f"{destination.url}/api/v1/jobs/{repeat.job_id}/bundle?experiment={experiment}"
    fields = [
        repeat.task_id,
        repeat.stage or "",
        repeat.campaign or "",
        repeat.unit,
        repeat.retry_of,
        bundle,
    ]
    # The list is no submit file: quotes and macros mean nothing in it
    return "\t".join(_SEPARATORS.sub(" ", field) for field in fields)


def _variables(repeat: Repeat, destination: Destination) -> dict[str, str]:
    variables = {
        "JOBPROV_URL": destination.url,
        "JOBPROV_EXPERIMENT": destination.experiment,
        "JOBPROV_TASK_ID": repeat.task_id,
        "JOBPROV_UNIT": repeat.unit,
        "JOBPROV_RETRY_OF": repeat.retry_of,
        "JOBPROV_STAGE": repeat.stage,
        "JOBPROV_CAMPAIGN": repeat.campaign,
        **destination.commands.variables(),
    }
    return {name: value for name, value in variables.items() if value}
