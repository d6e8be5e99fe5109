"""A recorded job submitted again as it was: the submit description that its ad came from.

The ad has what condor_submit made of the submit file, each macro replaced, so one job of a cluster
can be submitted alone. What another try has to have of its own is changed: its names of logs, and
the variables by which the hook knows whose try it is.

Source: HTCondor manual, condor_submit, and "Job ClassAd Attributes": `Arguments` and `Environment`
are in the new form, `Args` and `Env` in the old one.
"""

import math
import posixpath
import shlex
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.secrets.values import redact_strings
from jobprov.provenance.capture.secrets.variables import secret_names
from jobprov.provenance.capture.surroundings.condor_ads import command_of, job_variables
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.ads import Ad, AdValue
from jobprov.provenance.launchers.condor.launcher import checked, quoted

ATTRIBUTES = (
    "JobUniverse", "Cmd", "Arguments", "Args", "Environment", "Env", "Iwd", "In", "Out", "Err",
    "UserLog", "TransferInput", "TransferOutput", "TransferOutputRemaps", "ShouldTransferFiles",
    "WhenToTransferOutput", "TransferExecutable", "Requirements", "RequestMemory", "RequestCpus",
    "RequestDisk", "RequestGPUs", "AccountingGroup", "SingularityImage",
)  # fmt: skip
"""What a submission is made of."""

_VANILLA = 5
_REDACTED, _MARK = "<redacted", "<redacted:variable>"
_WITH_SECRETS = ("Arguments", "Args", "Environment", "Env")
_NOWHERE = "/dev/null"
_NOTHING = '""'
_MIB = 1 << 20
_PLAIN = {
    "ShouldTransferFiles": "should_transfer_files",
    "WhenToTransferOutput": "when_to_transfer_output",
    "TransferInput": "transfer_input_files",
    "TransferOutput": "transfer_output_files",
    "RequestCpus": "request_cpus",
    "RequestDisk": "request_disk",
    "RequestGPUs": "request_gpus",
    "AccountingGroup": "accounting_group",
}


class Again(NamedTuple):
    """What another try of a job has of its own.

    Attributes:
        name: of the try, for the names of its logs.
        variables: for the hook.
        memory_bytes: what to ask for; None for as much as before.
        avoided_sites: sites that are not to run it.
    """

    name: str
    variables: Mapping[str, str]
    memory_bytes: int | None = None
    avoided_sites: tuple[str, ...] = ()


def submission_of(ad: Ad) -> Ad:
    """Return the attributes of an ad that a submission is made of."""
    return {name: ad[name] for name in ATTRIBUTES if _is_said(ad, name)}


def _is_said(ad: Ad, name: str) -> bool:
    """Return whether an ad has an attribute; an empty list of outputs brings no file home."""
    return ad.get(name) is not None and (ad[name] != "" or name == "TransferOutput")


def without_secrets(submission: Ad) -> Ad:
    """Return a submission as it may be kept: without secrets, and without what JSON cannot hold."""
    kept: Ad = {}
    for name, value in submission.items():
        if isinstance(value, float) and not math.isfinite(value):
            continue
        if isinstance(value, str) and name in ("Arguments", "Args"):
            kept[name] = _arguments_without_secrets(name, value)
        elif isinstance(value, str) and name in ("Environment", "Env"):
            kept[name] = _variables_without_secrets(name, value)
        else:
            kept[name] = value
    redacted: Ad = redact_strings(kept)
    return redacted


def has_secrets(ad: Ad) -> bool:
    """Return whether a secret was taken out of an ad."""
    return any(_REDACTED in str(ad.get(name) or "") for name in _WITH_SECRETS)


def _arguments_without_secrets(attribute: str, text: str) -> str:
    words = command_of({attribute: text})
    redacted = redact_arguments(words)
    return text if redacted == words else shlex.join(redacted)


def _variables_without_secrets(attribute: str, text: str) -> str:
    """Return an environment of an ad, with a mark in place of values that are secret."""
    variables = job_variables({attribute: text})
    secret = secret_names(variables)
    if not secret:
        return text
    words = []
    for name, value in variables.items():
        shown = _MARK if name in secret else value
        words.append(f"{name}={shlex.quote(shown)}")
    return " ".join(words)


def describe_again(ad: Ad, again: Again) -> list[str]:
    """Return the lines of a submit file that submit one recorded job again.

    Raises:
        BadInputError: the ad lacks what is needed, which the message names.
    """
    _check(ad)
    folder = str(ad["Iwd"])
    lines = [
        "universe = vanilla",
        f"initialdir = {checked(folder)}",
        f"executable = {checked(posixpath.join(folder, str(ad['Cmd'])))}",
        f"arguments = {_arguments(ad)}",
        f"environment = {_environment(ad, again.variables)}",
    ]
    if ad.get("TransferExecutable") is False:
        lines.append("transfer_executable = False")
    if ad.get("In") not in (None, "", _NOWHERE):
        lines.append(f"input = {checked(str(ad['In']))}")
    for attribute, command in (("Out", "output"), ("Err", "error"), ("UserLog", "log")):
        if ad.get(attribute) not in (None, "", _NOWHERE):
            # Its own: HTCondor would write over those of the job
            lines.append(f"{command} = {checked(str(ad[attribute]))}.{again.name}")
    for attribute, command in _PLAIN.items():
        if _is_said(ad, attribute):
            lines.append(f"{command} = {_expression(ad[attribute]) or _NOTHING}")
    if ad.get("TransferOutputRemaps"):
        lines.append(f'transfer_output_remaps = "{_expression(ad["TransferOutputRemaps"])}"')
    if ad.get("SingularityImage"):
        lines.append(f'MY.SingularityImage = "{checked(str(ad["SingularityImage"]))}"')
    return [*lines, *_resources(ad, again), "queue"]


def _check(ad: Ad) -> None:
    missing = [name for name in ("Cmd", "Iwd") if not ad.get(name)]
    if missing:
        raise BadInputError(f"its job ad lacks {' and '.join(missing)}.")
    if ad.get("JobUniverse", _VANILLA) != _VANILLA:
        raise BadInputError(f"it ran in HTCondor's universe {ad['JobUniverse']}, not in vanilla.")
    for name in _WITH_SECRETS:
        if _REDACTED in str(ad.get(name) or ""):
            raise BadInputError(
                f"{name} of its job ad held a secret, which is not kept: submit it with a new one."
            )


def _arguments(ad: Ad) -> str:
    new_form = ad.get("Arguments")
    if new_form is not None:
        return f'"{_doubled(str(new_form))}"'
    return checked(str(ad.get("Args") or ""), quotes=True)


def _environment(ad: Ad, variables: Mapping[str, str]) -> str:
    """Return the recorded environment with further variables behind it, in the new form.

    Of two values of one variable HTCondor takes the last.
    """
    in_new_form, in_old_form = ad.get("Environment"), ad.get("Env")
    if in_new_form or not in_old_form:
        recorded = _doubled(str(in_new_form or ""))
    else:
        assignments = []
        for word in str(in_old_form).split(";"):
            name, equals, value = word.partition("=")
            if equals:
                assignments.append(f"{name}={quoted(value)}")
        recorded = " ".join(assignments)
    own = " ".join(f"{name}={quoted(value)}" for name, value in variables.items())
    return f'"{recorded} {own}"'


def _doubled(text: str) -> str:
    return checked(text, quotes=True).replace('"', '""')


def _expression(value: AdValue) -> str:
    """Return a value or expression of an ad as a submit file has it."""
    text = str(value)
    if text.startswith("/Expr(") and text.endswith(")/"):
        text = text[len("/Expr(") : -len(")/")]
    return checked(text, quotes=True)


def _resources(ad: Ad, again: Again) -> list[str]:
    lines = []
    if again.memory_bytes:
        lines.append(f"request_memory = {-(-again.memory_bytes // _MIB)}M")
    elif ad.get("RequestMemory") not in (None, ""):
        lines.append(f"request_memory = {_expression(ad['RequestMemory'])}")
    clauses = [f'(GLIDEIN_Site =!= "{checked(site)}")' for site in again.avoided_sites]
    if ad.get("Requirements") not in (None, ""):
        clauses.insert(0, f"({_expression(ad['Requirements'])})")
    if clauses:
        lines.append(f"requirements = {' && '.join(clauses)}")
    return lines


def missing_files(ad: Ad, exists: Callable[[str], bool]) -> list[str]:
    """Return the files of a submission for which `exists` is false."""
    folder = str(ad.get("Iwd") or "/")
    names = str(ad.get("TransferInput") or "").split(",")
    if ad.get("TransferExecutable") is not False:
        names.insert(0, str(ad.get("Cmd") or ""))
    missing = []
    for name in map(str.strip, names):
        # What has an address is not on this machine
        if not name or "://" in name:
            continue
        path = posixpath.join(folder, name)
        if not exists(path):
            missing.append(path)
    return missing
