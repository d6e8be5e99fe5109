"""The files by which a job proves who it is: proxies, tokens and tickets.

They are never kept, and a rerun needs none: it reaches no storage and no catalog.

Sources: WLCG Bearer Token Discovery 1.0; voms-proxy-init(1), "X509_USER_PROXY"; kerberos(7),
"KRB5CCNAME"; HTCondor manual, "Jobs and OAuth services" (`_CONDOR_CREDS`).
"""

import os
from typing import List, Mapping

_NAMED_BY = (
    *("BEARER_TOKEN_FILE", "X509_USER_PROXY", "X509_USER_CERT", "X509_USER_KEY", "KRB5CCNAME"),
    *("_CONDOR_CREDS", "SCITOKENS_FILE"),
)
_USUAL = ("/tmp/bt_u{}", "/tmp/x509up_u{}", "/tmp/krb5cc_{}")  # noqa: S108 - where they lie


def places(environment: Mapping[str, str]) -> List[str]:
    """Return the paths of the files, and of the folders in which they lie, as far as known."""
    user = os.getuid()
    found = [usual.format(user) for usual in _USUAL]
    if environment.get("XDG_RUNTIME_DIR"):
        found.append("{}/bt_u{}".format(environment["XDG_RUNTIME_DIR"], user))
    for name in _NAMED_BY:
        value = environment.get(name, "")
        for kind in ("FILE:", "DIR:"):  # of a Kerberos cache
            if value.startswith(kind):
                value = value[len(kind) :]
        if value:
            found.append(value)
    return found
