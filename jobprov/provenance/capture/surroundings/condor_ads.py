"""HTCondor's job and machine ads: their attributes, and a job's command, variables and end.

Source: HTCondor manual, the long form of ClassAds; _CONDOR_JOB_AD and _CONDOR_MACHINE_AD, frozen at
job start; condor_submit, `arguments` and `environment`, new and old syntax. In the ad the new syntax
is in `Arguments` and `Environment`, the old one in `Args` and `Env`.
"""

import math
import re
import signal
from typing import Callable, Dict, List, Optional, Tuple, Union

from jobprov.provenance.capture.record.json_objects import ClassAd

_LINE = re.compile(r"^\s*([A-Za-z_]\w*)\s*=(.*)$")
_WORD = re.compile(r"(?:'[^']*'|[^\s']+|')+")
_QUOTED = re.compile(r"'([^']*(?:''[^']*)*)'")
_LARGEST_AD = 4 << 20
_LONGEST_NUMBER = 400  # in characters
_KILLING = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGXCPU)


def read_ad(path: str) -> ClassAd:
    """Return the attributes of a long-form ad.

    Strings, numbers and booleans are decoded, expressions stay text.
    """
    with open(path, "rb") as stream:
        return parse_ad(stream.read(_LARGEST_AD).decode("utf-8", "replace"))


def parse_ad(text: str) -> ClassAd:
    """Return the attributes of an ad's text."""
    attributes = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            attributes[match.group(1)] = _ad_value(match.group(2).strip())
    return attributes


def _ad_value(text: str) -> Union[str, bool, float]:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if len(text) > _LONGEST_NUMBER:
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    # What HTCondor means by `inf` is an attribute of that name, and JSON has no such number.
    return number if math.isfinite(number) else text


def ads(environment: Dict[str, str], note: Callable[[str], None]) -> Tuple[ClassAd, ClassAd]:
    """Return (job ad, machine ad).

    Each empty outside HTCondor. `note` is told why one is missing. A job of DIRAC or PanDA has no
    job ad: the one that its variables name is its pilot's, which runs other jobs, too.
    """
    machine_ad = _named_ad(environment, note, "_CONDOR_MACHINE_AD")
    if dirac_number(environment) or environment.get("PANDAID"):
        return {}, machine_ad
    return _named_ad(environment, note, "_CONDOR_JOB_AD"), machine_ad


def dirac_number(environment: Dict[str, str]) -> Optional[str]:
    """Return the number of a job of DIRAC; else None.

    Source: JobWrapper of DIRAC 9; 0 is what it calls a job without a number.
    """
    number = environment.get("JOBID", "0")
    return number if environment.get("DIRACSITE") and number != "0" else None


def _named_ad(environment: Dict[str, str], note: Callable[[str], None], variable: str) -> ClassAd:
    path = environment.get(variable)
    if not path:
        return {}
    try:
        return read_ad(path)
    except Exception as error:
        note("job or machine ad: {}: {}".format(type(error).__name__, error))
        return {}


def job_variables(ad: ClassAd) -> Dict[str, str]:
    """Return the variables that the ad hands to the job."""
    words = _words(ad, "Environment")
    if words is None:
        words = str(ad.get("Env") or "").split(";")
    return dict(word.split("=", 1) for word in words if "=" in word)


def command_of(ad: ClassAd) -> List[str]:
    """Return program and arguments of the ad."""
    program = ad.get("Cmd")
    words = _words(ad, "Arguments")
    if words is None:
        words = str(ad.get("Args") or "").split()
    return [program, *words] if isinstance(program, str) else words


def _words(ad: ClassAd, name: str) -> Optional[List[str]]:
    text = ad.get(name)
    return split_words(text) if isinstance(text, str) and text else None


def split_words(text: str) -> List[str]:
    """Return the words of HTCondor's new syntax.

    Single quotes keep blanks together; two of them within quotes are one.
    """
    words = []
    for word in _WORD.findall(text):
        words.append(_QUOTED.sub(lambda quoted: quoted.group(1).replace("''", "'"), word))
    return words


def state_of(code: Optional[int], number: Optional[int], *, was_evicted: bool) -> str:
    """Return the state of a job that ended (code, signal or None) or was evicted."""
    if was_evicted or number in _KILLING:
        return "killed"
    if code is None:
        return "lost"
    return "failed" if code else "succeeded"
