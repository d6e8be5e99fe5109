"""Rules that keep secrets out of everything the hook writes or sends.

Variables are withheld by name or by value (the name is kept, the value is not); texts such as
scripts, fcl, logs and argument lists are redacted by value. A redacted place says which rule hit
it. No digest of a secret is ever made. Deliberately not here: entropy guesses. They flag every git
commit and digest, which is what a record is made of.
"""

import array
import fnmatch
import functools
import re
from typing import Any, Callable, Dict, List, Sequence, Set, Tuple

_NAME = re.compile(
    r"(?:^|[_.-])(?:TOKENS?|PASS|PWD|SECRETS?|CREDS?|CREDENTIALS?|AUTH|OAUTH2?|JWT|COOKIES?"
    r"|SESSION(?:ID)?"
    r"|AUTHORIZATION|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION"
    r"|DEPLOY)[_-]?KEY)[0-9]*(?:[_.-]|$)"
    r"|PASSWORD|PASSWD|PASSPHRASE"
    r"|(?:TOKEN|(?:DB|SSH|KRB5)PASS|DBPW|SECRET|(?:API|ACCESS|PRIVATE|SECRET|ENCRYPTION)KEY"
    r"|_PAT|_PW)[0-9]*$"
    r"|^(?:CONDOR_INHERIT|CONDOR_PRIVATE_.*|_CONDOR_CREDS|SSH_AUTH_SOCK|PGPASSFILE_CONTENT|NETRC)$",
    re.IGNORECASE,
)
# These name a place, not a secret: the path is kept where the value is one.
_PLACE_NAME = re.compile(r"(?:_FILE|_PATH|_DIR|_PROXY|CCNAME)$", re.IGNORECASE)
_PLACE_VALUE = re.compile(r"^(?:(?:FILE|DIR):)?[./~][^\s]*$")
_HARMLESS_NAMES = frozenset(
    ["PWD", "OLDPWD", "XDG_SESSION_TYPE", "XDG_SESSION_CLASS", "DESKTOP_SESSION"]
)
_HARMLESS_VALUES = frozenset(["", "0", "1", "true", "false", "yes", "no", "on", "off"])

_JWT = rb"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
_BARE_NAME = (
    rb"(?i)(?P<keep>(?:password|passwd|passphrase|_pwd|_pass(?==\D)|secret|secret_?(?:access_?)?key|api_?key"
    rb"|access_?token|auth_?token|bearer_token|private_key|refresh_token|account_?key|\buid=\S{1,64};pwd)=)"
)
_BARE_ASSIGNMENT = _BARE_NAME + (
    rb"(?=[^\s\"']*[0-9])(?![$<{%(])[^\s\"'()\[\]<>,;&|]{6,}(?=[\s\"',;&|]|\Z)"
)
# These rules look at words of any length, in which they could begin again: `password=password=…` took
# a time that was quadratic in its length. So they look only past as many further beginnings as one
# secret may hold: the payload of a token begins as its head, and a password may look like another.
_BEGINNINGS: Dict[bytes, Tuple[bytes, int]] = {
    _JWT: (rb"\beyJ", 1),
    _BARE_ASSIGNMENT: (_BARE_NAME, 3),
}
# Words of one command, over lines that a backslash joins
_WORDS = rb"(?:[^\n|;&\\]|\\\n?){0,200}?\s"
_LOGIN = rb"(?:docker|podman|buildah|helm|apptainer|singularity|oc|oras)\s(?:\w+\s)?login\b"
# Programs, and what stands before a password of theirs
_COMMANDS = (
    rb"ldap(?:search|add|modify|delete|whoami|passwd|compare)\b" + _WORDS + rb"-w"
    rb"|redis-cli\b" + _WORDS + rb"(?:-a|--pass)"
    rb"|(?:smb(?:client|get|cacls|spool)|rpcclient)\b"
    + _WORDS
    + rb"(?:-U|--user)[ =]?[\"']?[^\s%\"'$]{1,64}%"
    rb"|" + _LOGIN + _WORDS + rb"-p"
    rb"|rucio\b" + _WORDS + rb"-pwd"
    rb"|openssl\b" + _WORDS + rb"(?:-pass(?:in|out)?\s[\"']?pass:|-[kK]\s)"
    rb"|htpasswd (?:-\w{1,9} ){0,3}-(?!\w{0,9}n)\w{0,9}b\w{0,9} \S{1,200} \S{1,64} "
    rb"|htpasswd -\w{0,9}(?:nb|bn)\w{0,9} \S{1,64} "
    rb"|aws\sconfigure\sset\s[\w.-]{0,64}aws_se\w{1,40}\s"
    rb"|lftp\b" + _WORDS + rb"-u[ ]?[\"']?[^\s,\"'$]{1,64},"
    rb"|keytool\b" + _WORDS + rb"-\w{0,9}(?:store|key)pass"
    rb"|davix-\w{1,9}\b" + _WORDS + rb"--userpass"
    rb"|(?:kinit|proxy-init|myproxy-\w{1,9}|sudo\s-S)\b[^\n|;&<]{0,99}<<(?:<|-?[ ]?[\"']?\w{1,20}[\"']?\n)"
    rb"|(?<!\.)(?:un)?zip\b" + _WORDS + rb"-P"
    rb"|7z\w?\s[a-z]\b" + _WORDS + rb"-p"
    rb"|gpg2?\b" + _WORDS + rb"--passphrase"
    rb"|mongo\w{0,9}\b" + _WORDS + rb"-p"
    rb"|mc\salias\sset(?:\s[^\s|;&]{1,200}){3}\s"
    rb"|vault\slogin\s"
    rb"|sqlplus\s(?:-\w+\s)*[^\s/@]{1,64}/"
    rb"|(?<=-)(?:creds[ =][\"']?[^\s:\"'$]{1,64}:|from-literal[ =][\"']?[\w.-]{1,99}=)"
)
# What reads a password from a pipe
_READERS = (
    rb"kinit|(?:voms-|grid-)?proxy-init|arcproxy|myproxy-\w{1,9}|sudo\s-S|chpasswd|passwd\s--stdin"
    rb"|gpg2?\s[^\n|;&]{0,99}--passphrase-fd|ansible-vault|" + _LOGIN
)
_COMMAND = rb"(?P<keep>\b(?:" + _COMMANDS + rb")[ \t=]{0,9}[\"']?)(?![$<{-])[^\s\"'$<|;&]{4,}"
# (rule name, pattern); the group `keep`, where there is one, stays in front of the mark.
_RULES: List[Tuple[str, bytes]] = [
    (
        "pem",
        (
            rb"----[- ]BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?[- ]----.*?"
            rb"(?:----[- ]END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?[- ]----|\Z)"
            rb"|(?P<keep>Private-Lines: \d+\s)[A-Za-z0-9+/=\s]+(?=Private-MAC)"  # PuTTY's
        ),
    ),
    ("jwt", _JWT),
    ("aws-key-id", rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    (
        "service-token",
        (
            rb"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
            rb"|gl(?:pat|dt)-[A-Za-z0-9_-]{16,}"
            rb"|AGE-SECRET-KEY-1[0-9A-Z]{50,}"
            rb"|ya29\.[A-Za-z0-9_-]{20,}"
            rb"|sk-(?:proj|ant)-[A-Za-z0-9_-]{20,}"
            rb"|hv[sbr]\.[A-Za-z0-9_-]{16,}"
            rb"|xox[abposr]-[A-Za-z0-9-]{10,}|prov_[A-Za-z0-9]+_[A-Za-z0-9_-]{40,}"
            rb"|AIza[0-9A-Za-z_-]{35}"
            rb"|npm_[A-Za-z0-9]{30,}"
            rb"|pypi-[A-Za-z0-9_-]{30,}|sk_live_[A-Za-z0-9]{16,}"
            rb"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
            rb"|dckr_pat_[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{30,})"
            rb"|(?P<keep>\bhooks\.slack\.com/services/|/api/webhooks/\d{1,20}/)[A-Za-z0-9/_-]{16,}"
        ),
    ),
    (
        "url-password",
        (
            rb"(?P<keep>://)(?:[^/\s:@'\"<>$]*:(?![$<{]|%(?![0-9A-Fa-f]{2}))[^/\s@'\"<>]+"
            rb"|(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,})(?=@)"  # git's https://TOKEN@host
        ),
    ),
    (
        "authorization",
        (
            rb"(?i)(?P<keep>(?:\bbearer|authorization:\s*(?:basic|token))\s+)"
            rb"(?![$<{])[A-Za-z0-9._~+/=-]{16,}"
        ),
    ),
    (
        "authorization",
        (
            rb"(?i)(?P<keep>\b(?:(?:private|job|deploy|x-auth|x-authentication|x-access"
            rb"|x-vault|x-rucio-auth)-token"
            rb"|x-api-key)[\"']?\s*:\s*[\"']?)"
            rb"(?![$<{])[A-Za-z0-9._~+/=-]{12,}"
        ),
    ),
    (
        "user-password",
        (
            rb"(?P<keep>\bcurl\b(?:(?!\bcurl\b)[^\n|;&]){0,500}?\s(?:-[uU]|--user|--proxy-user)[ =]?[\"']?"
            rb"[^\s:\"'$<]{1,64}:)(?![$<{])"
            rb"[^\s\"'$]{4,}"
        ),
    ),
    (
        "user-password",
        (
            rb"(?P<keep>\b(?:mysql\w*|mariadb|sshpass)\b(?:(?!\bmysql|\bsshpass)[^\n|;&]){0,300}?\s-p)"
            rb"(?![$<{]|(?:rint0?|rune|ath|erm)\b)[^\s\"'$<]{4,}"
        ),
    ),
    ("user-password", rb"(?P<keep>\bsshpass\s+-p\s+[\"']?)(?![$<{])[^\s\"'$<]{4,}"),
    (
        "user-password",
        (
            rb"(?i)(?P<keep>\b[a-z][\w$#]{0,30}/)(?![$<{])[^\s/@\"'<>,;]{4,64}"
            rb"(?=@(?:\(description|(?://)?[\w.-]{1,99}:1521\b|\w{0,30}oracle))"
        ),
    ),
    (
        "user-password",
        # What connects to a database in C++ and Python, the password being an argument
        (
            rb"(?P<keep>(?:\b(?:TSQLServer::C|(?:MySQLdb|pymysql)\.c)onnect\(\s*(?:[\"'][^\"'\n]{0,200}[\"'],\s*){2}[\"']"
            rb"|\b(?:cx_Oracle|oracledb)\.connect\(\s*[\"'][^\"'/\n]{1,64}(?:/|[\"'],\s*[\"'])))"
            rb"(?![$<{])[^\"'@\n]{4,}"
        ),
    ),
    (
        "user-password",
        (
            rb"(?P<keep>\bIDENTIFIED (?:WITH \w{1,40} )?BY [\"']?|\b(?:WITH (?:ENCRYPTED )?PASSWORD |PASSWORD\()[\"']"
            rb"|assword:?\W{1,9}send\s(?:--\s)?[\"'])"
            rb"(?![$<{])[^\s\"';()\\]{4,}(?=[\"';\\])"
        ),
    ),
    ("user-password", _COMMAND),
    (
        "user-password",
        (
            rb"(?P<keep>\b(?:echo|printf)\s(?:-\w{1,9}\s)?(?:[\"']%s(?:\\n)?[\"']\s)?[\"']?)"
            rb"(?![$<{-])[^\"'$|;&\n]{4,80}(?=[\"']?\s{0,9}\|\s{0,9}(?:/\S{0,80}/|sudo )?(?:"
            + _READERS
            + rb")\b)"
        ),
    ),
    (
        "netrc",
        rb"(?i)(?P<keep>\blogin\s{1,9}\S{1,200}\s{1,9}password\s{1,9})(?![$<{])\S{4,}",
    ),
    (
        "pgpass",
        rb"(?m)(?P<keep>^[^\s:#]{1,255}:(?:5432|\*):[^\s:]{1,64}:[^\s:]{1,64}:)(?![$<{])[^\s:]{4,}$",
    ),
    (
        "cookie",
        (
            rb"(?i)(?P<keep>\bcookie2?[\"']?[ \t]*:[ \t]*[\"']?)"
            rb"(?![$<{])[^\s=;\"'<>]{1,100}=[^\r\n\"'<>]{6,}"
        ),
    ),
    (
        "signed-query",
        (
            rb"(?i)(?P<keep>[?&](?:X-Amz-(?:Signature|Credential|Security-Token)"
            rb"|X-Goog-Signature|sig"
            rb"|signature|access_token|authz|token|api_?key)=)(?![$<{])[^&\s\"'<>]{6,}"
        ),
    ),
    (
        "assignment",
        (
            rb"(?i)(?P<keep>(?:password|passwd|passphrase|_pwd|secret|secret_?(?:access_?)?key"
            rb"|api_?key"
            rb"|access_?token|auth_?token|private_key|refresh_token|db_?(?:pwd|pass|pw))\\{0,3}[\"']?\s*[:=]\s*)"
            rb"(?:\"(?![$<{%])[^\"\n]{4,}\"|'(?![$<{%])[^'\n]{4,}'|\\{1,3}\"(?![$<{%])[^\"\\\n]{4,}\\)"
        ),
    ),
    (
        "assignment",
        (
            rb"(?i)(?P<keep>[\"'](?:[\w-]{0,40}[_-])?(?:token|pw|api-key)[\"']\s{0,9}:\s{0,9}[\"']"
            rb"|\"auth\":\s{0,9}\"(?=[a-z]{0,40}[\d+/=])(?=[\w+/=]{12})"
            rb"|<\w{0,40}(?:password|passwd|passphrase)>"
            rb"|\bname=[\"']password[\"']\s{1,9}value=[\"'])"
            rb"(?![$<{%./])[^\"'\s<>]{6,}(?=[\"'<])"
        ),
    ),
    ("assignment", _BARE_ASSIGNMENT),
    (
        "assignment",
        # A line of its own, as in INI, TOML and YAML
        (
            rb"(?m)(?P<keep>^[ \t]*(?:token|pass)[ \t]*[:=][ \t]*[\"']?)(?=[^\s\"']*[0-9])(?=[^\s\"']*[A-Za-z])"
            rb"[\w~+/=-]{12,}(?=[\"']?[ \t\r]*$)"
        ),
    ),
    (
        "assignment",
        (
            rb"(?P<keep>\b(?:PGPASSWORD|MYSQL_PWD|SSHPASS|RSYNC_PASSWORD|REDISCLI_AUTH"
            rb"|[A-Z0-9_]{1,40}_(?:TOKEN|PASS|PASSWORD|PASSPHRASE|PWD?))=[\"']?)"
            rb"(?![$<{%(./]|\d+\b)[^\s\"'()<>,;&|]{4,}"
        ),
    ),
    (
        "assignment",
        (
            rb"(?i)(?P<keep>(?<![\w-])--?[\w-]{0,40}(?:password|passwd|passphrase|bearer"
            rb"|token|secret|(?:api|access|secret)-?key)(?:[ \t]{1,9}|=)[\"']?)"
            rb"(?=[^\s\"']*[0-9])(?![$<{%(./-])[^\s\"'()\[\]<>,;&|]{6,}"
        ),
    ),
    (
        "assignment",
        (
            rb"(?i)(?P<keep>(?:password|passwd|passphrase|secret_?(?:access_?)?key|api_?key"
            rb"|access_token"
            rb"|auth_token|private_key|refresh_token)[\"']?[ \t]*[:=][ \t]+)"
            rb"(?=[^\s\"']*[0-9=])(?![$<{%(@/]|[0-9]{4}-)[^\s\"'()\[\]<>,;&|]{8,}(?=[\s\"',;&|]|\Z)"
        ),
    ),
]
_COMMON_RULE, _COMMON_SIGN = "url-password", b"://"  # it stands in every address
# In lower case, what a text must hold for a rule to hit: most texts then cost no pattern, not even
# its compilation.
_SIGNS: Dict[str, List[bytes]] = {
    "pem": [b"private key", b"private-lines"],
    "jwt": [b"eyj"],
    "aws-key-id": [b"akia", b"asia"],
    "service-token": (
        b"ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- gldt- hvs. hvb. hvr. xox prov_ aiza npm_ pypi-"
        b" sk_live_ sk-proj- sk-ant- sg. ya29. age-secret"
        b" dckr_pat_ hf_ hooks.slack /webhooks/"
    ).split(),
    "url-password": [_COMMON_SIGN],
    "authorization": [b"bearer", b"authorization:", b"-token", b"x-api-key"],
    "user-password": (
        b"curl,mysql,mariadb,sshpass,sqlplus,:1521,oracle,@(desc,ldap,redis-cli,smbc,smbget,smbspool"
        b",rpcclient,-pwd,-pass,htpasswd,aws_se,lftp,keytool,userpass,kinit,proxy-init,arcproxy"
        b",myproxy,chpasswd,--stdin,e-fd,sudo -s,login -,zip -,7z ,7za ,-creds,from-literal,tsqlserver::c"
        b",identified ,assword,openssl,mongo,mc alias,vault"
    ).split(b","),
    "netrc": [b"password"],
    "pgpass": [b":5432:", b":*:"],
    "cookie": [b"cookie"],
    "signed-query": (
        b"x-amz- x-goog- sig= signature= access_token= authz= token= api_key= apikey="
    ).split(),
    "assignment": (
        b"password,passwd,passphrase,_pwd,secret,api_key,apikey,access_token,auth_token,private_key"
        b",bearer_token,refresh_token,account_key,accountkey,accesstoken,authtoken,token\",token',pw\",pw',-token"
        b",_token=,vaulttoken,token =,token:,sshpass=,rediscli_auth,api-key,access-key,bearer,_pass=,_pw=,;pwd=,\npass"
        b',db_p,dbp,"auth"'
    ).split(b","),
}


def _rare_signs() -> List[bytes]:
    signs: Set[bytes] = set()
    for rule, own in _SIGNS.items():
        if rule != _COMMON_RULE:
            signs.update(own)
    return sorted(signs)


def _shortest_signs() -> List[bytes]:
    """Return the signs that hold no other sign: without one of them, a text has none at all."""
    signs: List[bytes] = []
    for sign in sorted([_COMMON_SIGN, *RARE_SIGNS], key=len):
        if not any(shorter in sign for shorter in signs):
            signs.append(sign)
    return signs


RARE_SIGNS = _rare_signs()
# One search for all signs, as hundreds of texts have none: folders of a search path, names of files
_ANY_OF_SIGNS = _shortest_signs()
_ANY_SIGN = b"|".join(map(re.escape, _ANY_OF_SIGNS))
_LONG_TEXT = 2000
_SHORTEST_PASSWORD = 4
_SHORTEST_SECRET = 12  # in characters; what is shorter no rule finds
_compiled: Dict[bytes, Any] = {}  # pattern -> compiled, when it is first needed
_VARIABLE = re.compile(r"^(?:-e)?[A-Za-z_]\w*$")  # `env NAME=value`, and jobsub's `-eNAME=value`
_OPTION = re.compile(
    r"^--?[\w.-]*(?:password|passwd|passphrase|token|bearer|secret"
    r"|(?:api|access|secret|private)[-_]?key|credentials?)$",
    re.IGNORECASE,
)
# What a key of JSON is called whose value is a secret.
_KEY = re.compile(
    r"(?:^|[\w.-]*[_.-])(?:password|passwd|passphrase|pw|secret|token|(?:api|access|secret|private)_?key)$",
    re.IGNORECASE,
)
_PASSWORD_PROGRAM = re.compile(r"(?:.*/)?(?:mysql\w*|sshpass)$")
_USER_OPTIONS = ("-u", "-U", "--user", "--proxy-user")
# Curl's `-u name:password`
_USER = re.compile(r"^(?:(?:--user|--proxy-user)=|-[uU])?[^\s:]+:(?=.)")


def has_url_password(content: bytes) -> bool:
    """Tell whether the one rule hits that is not in `RARE_SIGNS`.

    Its sign stands in every address.
    """
    return _pattern(dict(_RULES)[_COMMON_RULE]).search(content) is not None


def redact(content: bytes) -> Tuple[bytes, List[str]]:
    """Return (content without secrets, names of the rules that hit), for any kind of text."""
    hits, lowered = set(), content.lower()
    if not _has_sign(lowered):
        return content, []
    possible = _possible_rules(lowered)
    for name, pattern in _RULES:
        if name not in possible:
            continue
        content, count = _replace(pattern, _mark(name), content)
        if count:
            hits.add(name)
    return content, sorted(hits)


def _possible_rules(lowered: bytes) -> Set[str]:
    """Return the names of the rules of which a text holds a sign.

    Each sign is searched once: most texts hold none but that of addresses, and their search is what
    the redaction of a release costs.
    """
    there = [sign for sign in _ANY_OF_SIGNS if sign in lowered]
    possible = set()
    for rule, own in _SIGNS.items():
        likely = [sign for sign in own if any(shorter in sign for shorter in there)]
        if any(sign in lowered for sign in likely):
            possible.add(rule)
    return possible


def _has_sign(lowered: bytes) -> bool:
    """Tell whether a text may hold a secret; one search is faster only where it is short."""
    if len(lowered) < _LONG_TEXT:
        return _pattern(_ANY_SIGN).search(lowered) is not None
    return any(sign in lowered for sign in _ANY_OF_SIGNS)


def redact_lines(content: bytes) -> Tuple[bytes, List[str]]:
    """Return what `redact` does, for a listing: its lines have nothing to do with each other."""
    hits: Set[str] = set()
    pieces, done = [], 0
    for sign in _pattern(_ANY_SIGN).finditer(content.lower()):
        if sign.start() < done:
            continue
        begin, end = content.rfind(b"\n", 0, sign.start()) + 1, content.find(b"\n", sign.start())
        end = len(content) if end < 0 else end
        line, rules = redact(content[begin:end])
        pieces += [content[done:begin], line]
        hits.update(rules)
        done = end
    return b"".join([*pieces, content[done:]]), sorted(hits)


def _replace(pattern: bytes, mark: Callable[[Any], bytes], content: bytes) -> Tuple[bytes, int]:
    """Return (content with the marks in place of what the pattern finds, how many they are)."""
    if pattern not in _BEGINNINGS:
        replaced: Tuple[bytes, int] = _pattern(pattern).subn(mark, content)
        return replaced
    beginning, inside = _BEGINNINGS[pattern]
    starts = array.array("L", (match.start() for match in _pattern(beginning).finditer(content)))
    pieces, done = [], 0
    for place, start in enumerate(starts):
        following = place + 1 + inside
        limit = starts[following] if following < len(starts) else len(content)
        secret = _pattern(pattern).match(content, start, limit) if start >= done else None
        if secret:
            pieces += [content[done:start], mark(secret)]
            done = secret.end()
    return b"".join([*pieces, content[done:]]), len(pieces) // 2


def redact_text(text: str) -> str:
    """Return the text without secrets; undecodable bytes, as the system hands them on, survive."""
    return redact(text.encode("utf-8", "surrogateescape"))[0].decode("utf-8", "surrogateescape")


def redact_strings(value: Any) -> Any:
    """Return the value with secrets taken out of every string in it.

    Nothing leaves that a rule knows.
    """
    if isinstance(value, str):
        return redact_text(value) if len(value) >= _SHORTEST_SECRET else value
    if isinstance(value, dict):
        return {redact_strings(key): _redact_item(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return value if _has_no_sign(value) else [redact_strings(item) for item in value]
    return value


def _has_no_sign(values: List[Any]) -> bool:
    """Tell by one search whether a list is of strings without secrets, as a search path is."""
    if not all(isinstance(value, str) for value in values):
        return False
    text = "\n".join(values).encode("utf-8", "surrogateescape")
    return not _has_sign(text.lower())


def _redact_item(key: Any, item: Any) -> Any:
    if names_secret_value(key, item):
        return "<redacted:name>"
    if key == "variables":  # an environment, which was judged as a whole
        return (
            {name: redact_strings(value) for name, value in item.items()}
            if isinstance(item, dict)
            else item
        )
    return redact_strings(item)


def names_secret_value(key: Any, item: Any) -> bool:
    """Tell whether a key of JSON says that its value is a secret."""
    if not (isinstance(key, str) and isinstance(item, str) and _is_secret_key(key)):
        return False
    return (
        len(item) >= _SHORTEST_PASSWORD
        and item[0] not in "$<{%./"
        and item.lower() not in _HARMLESS_VALUES
    )


@functools.lru_cache(maxsize=1024)
def _is_secret_key(key: str) -> bool:
    return _KEY.match(key) is not None


def redact_arguments(arguments: Sequence[str]) -> List[str]:
    """Return the argument list without secrets.

    By value, and by the option or variable that it is the value of.
    """
    redacted, before, is_curl, takes_password = [], "", False, False
    for argument in arguments:
        if takes_password and before == "-p" and not argument.startswith("-"):
            redacted.append("<redacted:option>")
        elif (
            takes_password and argument.startswith("-p") and len(argument) >= 2 + _SHORTEST_PASSWORD
        ):
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
    if "user-password" not in _possible_rules(text.lower()):
        return arguments
    secrets = [(found.end("keep"), found.end()) for found in _pattern(_COMMAND).finditer(text)]
    clean, end = [], -1
    for argument in arguments:
        word = argument.encode("utf-8", "surrogateescape")
        start, end = end + 1, end + 1 + len(word)
        for first, last in secrets:
            if first < end and last > start:
                word = word[: max(first - start, 0)] + b"<redacted:user-password>"
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
    if _OPTION.match(name) and not _is_harmless(name, value):
        return "option"
    if _VARIABLE.match(name) and is_secret(name, value):
        return "variable"
    return ""


def _is_user_value(argument: str, before: str) -> bool:
    """Tell whether an argument of curl is the value of its option for a user."""
    return before in _USER_OPTIONS or argument.startswith(("-u", "-U", "--user=", "--proxy-user="))


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
    products = {name[6:] for name, value in environment.items() if _sets_up(name, value)}
    names = set()
    for name, value in environment.items():
        if not is_secret(name, value):
            continue
        is_of_product = _sets_up(name, value) or _has_harmless_rest(name, products)
        if not is_of_product or redact(value.encode("utf-8", "surrogateescape"))[1]:
            names.add(name)
    return names


def _has_harmless_rest(name: str, products: Set[str]) -> bool:
    """Tell whether a variable's name is a product's name and a rest that no secret has."""
    place = name.find("_")
    while place >= 0:
        if name[:place] in products and _NAME.search(name[place + 1 :]) is None:
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
    if _NAME.search(name) and not _is_harmless(name, value):
        return True
    return bool(redact(value.encode("utf-8", "surrogateescape"))[1])


def _is_harmless(name: str, value: str) -> bool:
    if name in _HARMLESS_NAMES or value.lower() in _HARMLESS_VALUES:
        return True
    return bool(_PLACE_NAME.search(name) and _PLACE_VALUE.match(value))


def _pattern(pattern: bytes) -> Any:
    if pattern not in _compiled:
        _compiled[pattern] = re.compile(pattern, re.DOTALL)
    return _compiled[pattern]


def _mark(name: str) -> Callable[[Any], bytes]:
    mark = b"<redacted:" + name.encode() + b">"

    def replacement(match: Any) -> bytes:
        kept: bytes = match.groupdict().get("keep") or b""
        return kept + mark

    return replacement
