"""Takes secrets out of lists of arguments."""

import re
from typing import List, Sequence

from jobprov.provenance.capture.secrets.programs import OF_COMMANDS
from jobprov.provenance.capture.secrets.texts import possible_rules, redact_text
from jobprov.provenance.capture.secrets.variables import is_harmless, is_secret

_VARIABLE = re.compile(r"^(?:-e)?[A-Za-z_]\w*$")  # `env NAME=value`, and jobsub's `-eNAME=value`
_OPTION = re.compile(
    r"^--?[\w.-]*(?:password|passwd|passphrase|token|bearer|secret"
    r"|(?:api|access|secret|private)[-_]?key|credentials?)$",
    re.IGNORECASE,
)
_PASSWORD_PROGRAM = re.compile(r"(?:.*/)?(?:mysql\w*|sshpass)$")
_PASSWORD_IN_OPTION = re.compile(r"-p.{4}", re.DOTALL)
_USER_OPTIONS = ("-u", "-U", "--user", "--proxy-user")
# Curl's `-u name:password`
_USER = re.compile(r"^(?:(?:--user|--proxy-user)=|-[uU])?[^\s:]+:(?=.)")


def redact_arguments(arguments: Sequence[str]) -> List[str]:
    """Return the argument list without secrets.

    By value, and by the option or variable that it is the value of.
    """
    redacted, before, is_curl, takes_password = [], "", False, False
    for argument in arguments:
        if takes_password and before == "-p" and not argument.startswith("-"):
            redacted.append("<redacted:option>")
        elif takes_password and _PASSWORD_IN_OPTION.match(argument):
            redacted.append("-p<redacted:option>")
        else:
            redacted.append(_redact_argument(argument, before, is_curl=is_curl))
        takes_password = takes_password or bool(_PASSWORD_PROGRAM.match(argument))
        is_curl = is_curl or argument.rpartition("/")[2] == "curl"
        before = argument
    return _without_passwords(redacted)


def _without_passwords(arguments: List[str]) -> List[str]:
    """Return the arguments without what a program takes as a password behind one of its options."""
    text = " ".join(arguments).encode("utf-8", "surrogateescape")
    secrets = []
    for rule in possible_rules(OF_COMMANDS, text.lower()):
        secrets += [(found.end("before"), found.end()) for found in rule.pattern().finditer(text)]
    if not secrets:
        return arguments
    secrets.sort(reverse=True)
    clean, end = [], -1
    for argument in arguments:
        word = argument.encode("utf-8", "surrogateescape")
        start, end = end + 1, end + 1 + len(word)
        while secrets and secrets[-1][1] <= start:
            secrets.pop()
        if secrets and secrets[-1][0] < end:
            word = word[: max(secrets[-1][0] - start, 0)] + b"<redacted:user-password>"
        clean.append(word.decode("utf-8", "surrogateescape"))
    return clean


def _redact_argument(argument: str, before: str, *, is_curl: bool) -> str:
    """Return one argument without secrets; `before` is the argument in front of it."""
    if _OPTION.match(before) and not argument.startswith("-"):
        return "<redacted:option>"
    user = _USER.match(argument)
    if is_curl and user and _is_user_value(argument, before):
        return user.group() + "<redacted:user-password>"
    name, equals, value = argument.partition("=")
    kind = _kind_of_secret(name, value) if equals else ""
    if kind:
        return "{}=<redacted:{}>".format(name, kind)
    return redact_text(argument)


def _kind_of_secret(name: str, value: str) -> str:
    """Return what `NAME=VALUE` sets to a secret, `option` or `variable`.

    Nothing where it sets none.
    """
    if _OPTION.match(name) and not is_harmless(name, value):
        return "option"
    if _VARIABLE.match(name) and is_secret(name, value):
        return "variable"
    return ""


def _is_user_value(argument: str, before: str) -> bool:
    """Tell whether an argument of curl is the value of its option for a user."""
    return before in _USER_OPTIONS or argument.startswith(("-u", "-U", "--user=", "--proxy-user="))
