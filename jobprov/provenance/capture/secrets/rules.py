"""How secrets look in a text: one rule for each form.

Deliberately not here: entropy guesses. They flag every git commit and digest, which is what a
record is made of.
"""

import re
from typing import Any, List, Optional

# A variable of the shell, what a template fills in and a mark of ours are no secrets.
NO_VARIABLE = rb"(?![$<{])"


class Rule:
    """One form of a secret: what stands before it, the secret itself, and what stands after it.

    The secret alone is replaced, by a mark with the rule's name. A text in which none of the signs
    stands, in lower case, has no such secret, and no pattern is tried on it.

    Where a secret may have any length, `beginning` is how it begins: in `password=password=…` it
    may begin again at each word, and all of them together took a time that was quadratic in the
    length. So it is looked for up to the beginning after the next `further` ones alone: the payload
    of a token begins as its head does, and a password may look like another.
    """

    def __init__(
        self,
        name: str,
        signs: bytes,
        before: bytes,
        secret: bytes,
        *,
        any_case: bool = False,
        each_line: bool = False,
        beginning: bytes = b"",
        further: int = 0,
    ) -> None:
        self.name = name
        self.signs = signs.split(b"|")
        self.further = further
        self._pattern = b"(?P<before>" + before + b")" + secret
        self._beginning = beginning
        self._flags = re.DOTALL
        if any_case:
            self._flags |= re.IGNORECASE
        if each_line:  # `^` and `$` are those of a line
            self._flags |= re.MULTILINE
        self.is_any_case = any_case
        self._compiled: List[Any] = []

    def may_hit(self, lowered: bytes) -> bool:
        """Tell whether a text, which is given in lower case, may have such a secret.

        Where case does not matter, that takes a fifth of the time: patterns have no capitals then.
        """
        return not self.is_any_case or self._patterns()[2].search(lowered) is not None

    def pattern(self) -> Any:
        """Return the compiled pattern; its group `before` ends where the secret begins."""
        return self._patterns()[0]

    def beginning(self) -> Optional[Any]:
        """Return the compiled pattern of a beginning; None where the secret's length is bounded.

        Where case does not matter, it is for a text in lower case.
        """
        return self._patterns()[1]

    def _patterns(self) -> List[Any]:
        # Compiled when first needed: most jobs need none of them
        if not self._compiled:
            pattern, of_lowered = re.compile(self._pattern, self._flags), None
            flags = self._flags & ~re.IGNORECASE
            beginning = re.compile(self._beginning, flags) if self._beginning else None
            if self.is_any_case:
                of_lowered = beginning or re.compile(self._pattern, flags)
            self._compiled = [pattern, beginning, of_lowered]
        return self._compiled


# (signs, tokens of a service that have a form of their own)
_SERVICE_TOKENS = [
    (b"ghp_|gho_|ghu_|ghs_|ghr_", rb"gh[pousr]_[A-Za-z0-9]{20,}"),
    (b"github_pat_", rb"github_pat_[A-Za-z0-9_]{20,}"),
    (b"glpat-|gldt-", rb"gl(?:pat|dt)-[A-Za-z0-9_-]{16,}"),
    (b"age-secret", rb"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    (b"ya29.", rb"ya29\.[A-Za-z0-9_-]{20,}"),
    (b"aiza", rb"AIza[0-9A-Za-z_-]{35}"),
    (b"sk-proj-|sk-ant-", rb"sk-(?:proj|ant)-[A-Za-z0-9_-]{20,}"),
    (b"sk_live_", rb"sk_live_[A-Za-z0-9]{16,}"),
    (b"hvs.|hvb.|hvr.", rb"hv[sbr]\.[A-Za-z0-9_-]{16,}"),
    (b"xox", rb"xox[abposr]-[A-Za-z0-9-]{10,}"),
    (b"prov_", rb"prov_[A-Za-z0-9]+_[A-Za-z0-9_-]{40,}"),
    (b"npm_", rb"npm_[A-Za-z0-9]{30,}"),
    (b"pypi-", rb"pypi-[A-Za-z0-9_-]{30,}"),
    (b"sg.", rb"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    (b"dckr_pat_", rb"dckr_pat_[A-Za-z0-9_-]{16,}"),
    (b"hf_", rb"hf_[A-Za-z0-9]{30,}"),
]
_JWT = rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
URL_PASSWORD = Rule(
    "url-password",
    b"://",
    rb"://",
    rb"(?:[^/\s:@'\"<>$\[]*:(?![$<{]|%(?![0-9A-Fa-f]{2}))[^/\s@'\"<>]+"
    rb"|(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,})(?=@)",  # git's https://TOKEN@host
)
# Rules of which the form alone tells a secret, whatever it is for
BY_FORM = [
    Rule(
        "pem",
        b"private key",
        rb"",
        rb"----[- ]BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?[- ]----.*?"
        rb"(?:----[- ]END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?[- ]----|\Z)",
    ),
    # PuTTY's
    Rule(
        "pem",
        b"private-lines",
        rb"Private-Lines: \d+\s",
        rb"[A-Za-z0-9+/=\s]+(?=Private-MAC)",
    ),
    Rule("jwt", b"eyj", rb"\b", _JWT, beginning=rb"\beyJ", further=1),
    Rule("aws-key-id", b"akia|asia", rb"\b", rb"(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    *[Rule("service-token", signs, rb"\b", token) for signs, token in _SERVICE_TOKENS],
    Rule(
        "service-token",
        b"hooks.slack|/webhooks/",
        rb"\bhooks\.slack\.com/services/|/api/webhooks/\d{1,20}/",
        rb"[A-Za-z0-9/_-]{16,}",
    ),
    URL_PASSWORD,
    Rule(
        "authorization",
        b"bearer|authorization:",
        rb"(?:\bbearer|authorization:\s*(?:basic|token))\s+",
        NO_VARIABLE + rb"[A-Za-z0-9._~+/=-]{16,}",
        any_case=True,
    ),
    Rule(
        "authorization",
        b"-token|x-api-key",
        rb"\b(?:(?:private|job|deploy|x-auth|x-authentication|x-access|x-vault|x-rucio-auth)-token"
        rb"|x-api-key)[\"']?\s*:\s*[\"']?",
        NO_VARIABLE + rb"[A-Za-z0-9._~+/=-]{12,}",
        any_case=True,
    ),
]
# Rules of files and headers with a form of their own
OF_FILES = [
    Rule(
        "netrc",
        b"password",
        rb"\blogin\s{1,9}\S{1,200}\s{1,9}password\s{1,9}",
        NO_VARIABLE + rb"\S{4,}",
        any_case=True,
    ),
    Rule(
        "pgpass",
        b":5432:|:*:",
        rb"^[^\s:#]{1,255}:(?:5432|\*):[^\s:]{1,64}:[^\s:]{1,64}:",
        NO_VARIABLE + rb"[^\s:]{4,}$",
        each_line=True,
    ),
    Rule(
        "cookie",
        b"cookie",
        rb"\bcookie2?[\"']?[ \t]*:[ \t]*[\"']?",
        NO_VARIABLE + rb"[^\s=;\"'<>]{1,100}=[^\r\n\"'<>]{6,}",
        any_case=True,
    ),
    Rule(
        "signed-query",
        b"x-amz-|x-goog-|sig=|signature=|access_token=|authz=|token=|api_key=|apikey=",
        rb"[?&](?:x-amz-(?:signature|credential|security-token)|x-goog-signature|sig|signature"
        rb"|access_token|authz|token|api_?key)=",
        NO_VARIABLE + rb"[^&\s\"'<>]{6,}",
        any_case=True,
    ),
]
_PASSWORDS = b"password|passwd|passphrase|secret|api_key|apikey|private_key|refresh_token"
_BARE_NAME = (
    rb"(?:password|passwd|passphrase|_pwd|_pass(?==\D)|secret|secret_?(?:access_?)?key|api_?key"
    rb"|access_?token|auth_?token|bearer_token|private_key|refresh_token|account_?key"
    rb"|\buid=\S{1,64};pwd)="
)
_IN_QUOTES = (
    # nor what a command prints: "`cat FILE`", "env BEARER_TOKEN=$(cat FILE) "
    rb"(?:\"(?![$<{%`]|env [^\"\n]*=\$\()[^\"\n]{4,}\"|'(?![$<{%])[^'\n]{4,}'"
    rb"|\\{1,3}\"(?![$<{%])[^\"\\\n]{4,}\\)"
)
_HAS_DIGIT = rb"(?=[^\s\"']*[0-9])"
# Rules of which the name tells a secret that it is given to
BY_NAME = [
    Rule(
        "assignment",
        _PASSWORDS + b"|_pwd|access_token|accesstoken|auth_token|authtoken|db_p|dbp",
        rb"(?:password|passwd|passphrase|_pwd|secret|secret_?(?:access_?)?key|api_?key|access_?token"
        rb"|auth_?token|private_key|refresh_token|db_?(?:pwd|pass|pw))\\{0,3}[\"']?\s*[:=]\s*",
        _IN_QUOTES,
        any_case=True,
    ),
    # Keys of JSON and of Docker's configuration, elements of XML
    Rule(
        "assignment",
        b'token"|token\'|pw"|pw\'|api-key|"auth"|password|passwd|passphrase',
        rb"[\"'](?:[\w-]{0,40}[_-])?(?:token|pw|api-key)[\"']\s{0,9}:\s{0,9}[\"']"
        rb"|\"auth\":\s{0,9}\"(?=[a-z]{0,40}[\d+/=])(?=[\w+/=]{12})"
        rb"|<\w{0,40}(?:password|passwd|passphrase)>"
        rb"|\bname=[\"']password[\"']\s{1,9}value=[\"']",
        rb"(?![$<{%./])[^\"'\s<>]{6,}(?=[\"'<])",
        any_case=True,
    ),
    Rule(
        "assignment",
        _PASSWORDS + b"|_pwd|_pass=|access_token|accesstoken|auth_token|authtoken|bearer_token"
        b"|account_key|accountkey|;pwd=",
        _BARE_NAME,
        _HAS_DIGIT + rb"(?![$<{%(])[^\s\"'()\[\]<>,;&|]{6,}(?=[\s\"',;&|]|\Z)",
        any_case=True,
        beginning=_BARE_NAME,
        further=3,
    ),
    # A line of its own, as in INI, TOML and YAML
    Rule(
        "assignment",
        b"token =|token:|token=|pass =|pass:|pass=",
        rb"^[ \t]*(?:token|pass)[ \t]*[:=][ \t]*[\"']?",
        _HAS_DIGIT + rb"(?=[^\s\"']*[A-Za-z])[\w~+/=-]{12,}(?=[\"']?[ \t\r]*$)",
        each_line=True,
    ),
    # Variables of the environment
    Rule(
        "assignment",
        b"password|passphrase|_pwd=|_pw=|_pass=|_token=|sshpass=|rediscli_auth",
        rb"\b(?:PGPASSWORD|MYSQL_PWD|SSHPASS|RSYNC_PASSWORD|REDISCLI_AUTH"
        rb"|[A-Z0-9_]{1,40}_(?:TOKEN|PASS|PASSWORD|PASSPHRASE|PWD?))=[\"']?",
        rb"(?![$<{%(./`]|\d+\b)[^\s\"'()<>,;&|]{4,}",
    ),
    Rule(
        "assignment",
        b"_auth=|_creds=|_key=|_secret=",
        rb"\b[A-Z0-9_]{1,40}_(?:AUTH|CREDS|(?:API|ACCESS|PRIVATE|SECRET)_KEY|SECRET)=[\"']?",
        _HAS_DIGIT + rb"(?![$<{%(./]|\d+\b)[^\s\"'()<>,;&|]{8,}",
    ),
    # Options
    Rule(
        "assignment",
        b"password|passwd|passphrase|bearer|-token|accesstoken|authtoken|vaulttoken|secret|api-key"
        b"|apikey|access-key|accesskey",
        rb"(?<![\w-])--?[\w-]{0,40}(?:password|passwd|passphrase|bearer|token|secret"
        rb"|(?:api|access|secret)-?key)(?:[ \t]{1,9}|=)[\"']?",
        _HAS_DIGIT + rb"(?![$<{%(./-])[^\s\"'()\[\]<>,;&|]{6,}",
        any_case=True,
    ),
    # YAML and the like: a blank after the colon
    Rule(
        "assignment",
        _PASSWORDS + b"|access_token|auth_token",
        rb"(?:password|passwd|passphrase|secret_?(?:access_?)?key|api_?key|access_token|auth_token"
        rb"|private_key|refresh_token)[\"']?[ \t]*[:=][ \t]+",
        rb"(?=[^\s\"']*[0-9=])(?![$<{%(@/]|[0-9]{4}-)[^\s\"'()\[\]<>,;&|]{8,}(?=[\s\"',;&|]|\Z)",
        any_case=True,
    ),
]
