"""Environment variables that stay on the worker node, by their name or by their value.

The name is kept, the value is not.
"""

import fnmatch
import functools
import re
from typing import Dict, List, Sequence, Set, Tuple

from jobprov.provenance.capture.secrets.texts import redact, withhold
from jobprov.provenance.capture.secrets.values import HARMLESS, SHORTEST_VALUE

_NAME = re.compile(
    # A word of the name
    r"(?:^|[_.-])(?:TOKENS?|PASS|PWD|SECRETS?|CREDS?|CREDENTIALS?|AUTH|OAUTH2?|JWT|COOKIES?"
    r"|SESSION(?:ID)?|AUTHORIZATION"
    r"|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION|DEPLOY)[_-]?KEY)[0-9]*(?:[_.-]|$)"
    # Anywhere in it
    r"|PASSWORD|PASSWD|PASSPHRASE"
    # At its end
    r"|(?:TOKEN|(?:DB|SSH|KRB5)PASS|DBPW|SECRET|(?:API|ACCESS|PRIVATE|SECRET|ENCRYPTION)KEY"
    r"|_PAT|(?:^|_)PW)[0-9]*$"
    # The whole name
    r"|^(?:CONDOR_INHERIT|CONDOR_PRIVATE_.*|_CONDOR_CREDS|SSH_AUTH_SOCK|PGPASSFILE_CONTENT|NETRC)$",
    re.IGNORECASE,
)
# These name a place, not a secret: the path is kept where the value is one.
_PLACE_NAME = re.compile(r"(?:_FILE|_PATH|_DIR|_PROXY|CCNAME)$", re.IGNORECASE)
_PLACE_VALUE = re.compile(r"^(?:(?:FILE|DIR):)?[./~][^\s]*$")
# What is told of a secret: `RUCIO_AUTH_TYPE=x509_proxy`
_DESCRIBES = re.compile(r"_(?:TYPE|HOST|METHODS?|MODE)$", re.IGNORECASE)
# Perhaps a pass over the data, whose label stands in names of files: `NOVA_PASS=prod5reco`
_PASS = re.compile(
    r"^(?!.*(?:DB|SQL|USER|SSH|KRB|ADMIN|ROOT|LOGIN|MAIL|FTP|HTTP))(?:.*_)?PASS[0-9]*$",
    re.IGNORECASE,
)
# Compiled where a script is read; with a digit: `GRID_AUTH=kerberos` is no secret
_ASSIGNED = r"(?m)(?:^|[;&|]|\bexport)[ \t]*([A-Z]\w*)=[\"']?((?=[^\s\"']*\d)[^\s\"'$`;&|()<>]{8,})"
_HARMLESS_NAMES = frozenset(
    [
        "JOBPROV_TOKEN_FILE",  # a path, also where it is a plain name
        "PWD",
        "OLDPWD",
        "GWMS_SINGULARITY_OUTSIDE_PWD",
        "GWMS_SINGULARITY_OUTSIDE_PWD_LIST",
        "XDG_SESSION_TYPE",
        "XDG_SESSION_CLASS",
        "DESKTOP_SESSION",
    ]
)


def split_environment(
    environment: Dict[str, str], allowed: Sequence[str] = ()
) -> Tuple[Dict[str, str], List[str]]:
    """Return (variables to keep, names withheld, sorted); the hook's own settings are in neither.

    Where names are allowed (with `*` and `?`), every variable of another name is withheld: the
    strict mode.
    """
    kept: Dict[str, str] = {}
    withheld = []
    secrets = secret_names(environment)
    allowed_names = re.compile("|".join(map(fnmatch.translate, allowed)))
    for name, value in environment.items():
        if name.startswith("JOBPROV_"):
            continue
        if name in secrets or (allowed and not allowed_names.match(name)):
            withheld.append(name)
        else:
            kept[name] = value
    return kept, sorted(withheld)


def secret_names(environment: Dict[str, str]) -> Set[str]:
    """Return the names of the variables whose values have to stay on the worker node.

    A UPS product may have any name: where `SETUP_TOKEN_TOOLS` sets one up, `TOKEN_TOOLS_VERSION` is
    judged by `VERSION` alone.
    """
    products = _products(environment)
    values = _secret_values(environment)
    names = set()
    for name, value in environment.items():
        if _is_named_secret(name, value, products) or _holds_secret(value):
            names.add(name)
        for secret in values:
            if secret in value:  # JUSTIN_SAM_WEB_URI ends in JUSTIN_JOBSCRIPT_SECRET
                names.add(name)
    return names


def withhold_values(environment: Dict[str, str]) -> None:
    """From now on take the values of secret variables out of every text: jobs print them."""
    withhold(_secret_values(environment))


def withhold_assigned(script: bytes) -> None:
    """Do the same with what a script writes as a value, for programs that end unseen."""
    withhold_values(dict(re.findall(_ASSIGNED, script.decode("utf-8", "surrogateescape"))))


def _secret_values(environment: Dict[str, str]) -> Set[str]:
    """Return the values of secret variables, of several lines each, that a text may hold.

    Not here are those that a rule finds wherever they stand.
    """
    products = _products(environment)
    values = set()
    for name, value in environment.items():
        if _DESCRIBES.search(name) or _PASS.match(name):
            continue
        if _is_named_secret(name, value, products):
            for line in [value, *value.splitlines()]:
                if len(line) >= SHORTEST_VALUE and line[0] != "/":
                    values.add(line)
    return values


def _products(environment: Dict[str, str]) -> Set[str]:
    return {name[6:] for name, value in environment.items() if _sets_up(name, value)}


def _is_named_secret(name: str, value: str, products: Set[str]) -> bool:
    """Tell whether a variable's name says that its value is a secret."""
    if not _sounds_secret(name) or is_harmless(name, value):
        return False
    return not (_sets_up(name, value) or _has_harmless_rest(name, products))


def _has_harmless_rest(name: str, products: Set[str]) -> bool:
    """Tell whether a variable's name is a product's name and a rest that no secret has."""
    place = name.find("_")
    while place >= 0:
        if name[:place] in products and not _sounds_secret(name[place + 1 :]):
            return True
        place = name.find("_", place + 1)
    return False


def _sets_up(name: str, value: str) -> bool:
    """Tell whether a variable is UPS's `SETUP_X="x v1_2 -f flavor …"`."""
    if not name.startswith("SETUP_"):
        return False
    return value.partition(" ")[0].upper() == name[6:].upper() and " -f " in value


def is_secret(name: str, value: str) -> bool:
    """Tell whether a variable's value has to stay on the worker node."""
    return _is_named_secret(name, value, set()) or _holds_secret(value)


def _holds_secret(value: str) -> bool:
    return bool(redact(value.encode("utf-8", "surrogateescape"))[1])


@functools.lru_cache(maxsize=4096)
def _sounds_secret(name: str) -> bool:
    return _NAME.search(name) is not None


def is_harmless(name: str, value: str) -> bool:
    """Tell whether a variable that is named like a secret holds a switch or a place instead."""
    if name in _HARMLESS_NAMES or value.lower() in HARMLESS:
        return True
    return bool(_PLACE_NAME.search(name) and _PLACE_VALUE.match(value))
