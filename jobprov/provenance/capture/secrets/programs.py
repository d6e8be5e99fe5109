"""Programs that are given a password, and where it stands in their command."""

import re
from typing import List

from jobprov.provenance.capture.secrets.rules import NO_VARIABLE, Rule

_NAME = "user-password"
# Words of one command, over lines that a backslash joins
_WORDS = rb"(?:[^\n|;&\\]|\\\n?){0,200}?\s"
_LOGIN_PROGRAM = rb"(?:docker|podman|buildah|helm|apptainer|singularity|oc|oras)"
_LOGIN = rb"\s(?:\w+\s)?login\b"
_USER = rb"[ =]?[\"']?[^\s:\"'$]{1,64}:"


def _option(option: bytes) -> bytes:
    """Return what stands between a program and the value of an option, among other words."""
    return rb"\b" + _WORDS + option


# (signs, program, what stands between it and a password)
COMMANDS = [
    (b"ldap", rb"ldap(?:search|add|modify|delete|whoami|passwd|compare)", _option(rb"-w")),
    (b"redis-cli", rb"redis-cli", _option(rb"(?:-a|--pass)")),
    (
        b"smbc|smbget|smbspool|rpcclient",
        rb"(?:smb(?:client|get|cacls|spool)|rpcclient)",
        _option(rb"(?:-U|--user)[ =]?[\"']?[^\s%\"'$]{1,64}%"),
    ),
    (b"login -", _LOGIN_PROGRAM, _LOGIN + _option(rb"-p")),
    (b"az login", rb"az", rb"\slogin\b" + _option(rb"-p")),
    (b"-pwd", rb"rucio", _option(rb"-pwd")),
    (b"openssl", rb"openssl", _option(rb"(?:-pass(?:in|out)?\s[\"']?pass:|-[kK]\s)")),
    (b"ssh-keygen", rb"ssh-keygen", _option(rb"-[NP]")),
    (b"lftp", rb"lftp", _option(rb"-u[ ]?[\"']?[^\s,\"'$]{1,64},")),
    (b"ncftp", rb"ncftp\w{0,9}", _option(rb"-p")),
    (b"keytool", rb"keytool", _option(rb"-\w{0,9}(?:store|key)pass")),
    (b"userpass", rb"davix-\w{1,9}", _option(rb"--userpass")),
    (b"zip -", rb"(?<!\.)(?:un)?zip", _option(rb"-P")),
    (b"7z |7za ", rb"7z\w?", rb"\s[a-z]" + _option(rb"-p")),
    (b"-pass", rb"gpg2?", _option(rb"--passphrase")),
    (b"mongo", rb"mongo\w{0,9}", _option(rb"-p")),
    (b"cqlsh|beeline", rb"(?:cqlsh|beeline)", _option(rb"-p")),
    (b"sqlcmd", rb"sqlcmd", _option(rb"-P")),
    (b"sqlplus", rb"sqlplus", rb"\s(?:-\w+\s)*[^\s/@]{1,64}/"),
    (b"etcdctl", rb"etcdctl", _option(rb"--user" + _USER)),
    (b"ipmitool", rb"ipmitool", _option(rb"-P")),
    (b"snmp", rb"snmp(?:bulkwalk|walk|get|set)", _option(rb"-[AX]")),
    (b"store_cred", rb"condor_store_cred", _option(rb"-p")),
    (b"twine", rb"twine", rb"\supload" + _option(rb"-p")),
    (
        b"htpasswd",
        rb"htpasswd",
        rb" (?:-\w{1,9} ){0,3}-(?!\w{0,9}n)\w{0,9}b\w{0,9} \S{1,200} \S{1,64} ",
    ),
    (b"htpasswd", rb"htpasswd", rb" -\w{0,9}(?:nb|bn)\w{0,9} \S{1,64} "),
    (b"aws_se", rb"aws", rb"\sconfigure\sset\s[\w.-]{0,64}aws_se\w{1,40}\s"),
    (b"mc alias", rb"mc", rb"\salias\sset(?:\s[^\s|;&]{1,200}){3}\s"),
    (b"vault", rb"vault", rb"\slogin\s"),
]
# What reads a password from the text behind `<<`, and from a pipe
_HERE_READERS = rb"\b(?:kinit|proxy-init|myproxy-\w{1,9}|sudo\s-S)"
_PIPE_READERS = (
    rb"kinit|(?:voms-|grid-)?proxy-init|arcproxy|myproxy-\w{1,9}|sudo\s-S|chpasswd|passwd\s--stdin"
    rb"|gpg2?\s[^\n|;&]{0,99}--passphrase-fd|ansible-vault|" + _LOGIN_PROGRAM + _LOGIN
)
# What may stand between an option and a password, and a password that is a word
# `READER < FILE`, `cat FILE | READER`, `--password-file FILE`
_OPTION = rb"(?<![\w-])--?[\w-]{0,64}(?:passw(?:or)?d|passphrase|secret)[\w-]{0,64}-"
_FILE = rb"\s{0,9}[\"']?([^\s\"'|;&<>()]+)"
_FILES = (
    rb"(?:\b(?:" + _PIPE_READERS + rb")\b|" + _OPTION + rb"(?:stdin|fd)\b|-pass\w*\s(?:stdin|fd:0))"
    rb"[^\n|;&<]{0,200}<(?![<(])"
    + _FILE
    + rb"|\bcat\s"
    + _FILE
    + rb"[\"']?\s{0,9}\|[^\n|;&]{0,99}?\b(?:"
    + _PIPE_READERS
    + rb")\b"
    rb"|(?:" + _OPTION + rb"file[\s=]|-pass(?:in|out|phrase)?\sfile:|\bsshpass\s+-f)" + _FILE
)
_GAP = rb"[ \t=]{0,9}[\"']?"
_WORD = rb"(?![$<{-])[^\s\"'$<|;&]{4,}"
# Rules that hold for a list of arguments, joined by blanks, as for a line of a script
OF_COMMANDS = [
    *[
        Rule(_NAME, signs, rb"\b" + program + between + _GAP, _WORD)
        for signs, program, between in COMMANDS
    ],
    # Of skopeo and kubectl
    Rule(_NAME, b"-creds", rb"(?<=-)\bcreds" + _USER + _GAP, _WORD),
    Rule(_NAME, b"from-literal", rb"(?<=-)\bfrom-literal[ =][\"']?[\w.-]{1,99}=" + _GAP, _WORD),
    Rule(
        _NAME,
        b"kinit|proxy-init|myproxy|sudo -s",
        _HERE_READERS + rb"\b[^\n|;&<]{0,99}<<(?:<|-?[ ]?[\"']?\w{1,20}[\"']?\n)" + _GAP,
        _WORD,
    ),
]
PROGRAMS = [
    Rule(
        _NAME,
        b"curl",
        rb"\bcurl\b(?:(?!\bcurl\b)[^\n|;&]){0,500}?\s(?:-[uU]|--user|--proxy-user)[ =]?[\"']?"
        rb"[^\s:\"'$<]{1,64}:",
        NO_VARIABLE + rb"[^\s\"'$]{4,}",
    ),
    Rule(
        _NAME,
        b"mysql|mariadb|sshpass",
        rb"\b(?:mysql\w*|mariadb|sshpass)\b(?:(?!\bmysql|\bsshpass)[^\n|;&]){0,300}?\s-p",
        rb"(?![$<{]|(?:rint0?|rune|ath|erm)\b)[^\s\"'$<]{4,}",
    ),
    Rule(
        _NAME,
        b"sshpass",
        rb"\bsshpass\s+-p\s+[\"']?",
        NO_VARIABLE + rb"[^\s\"'$<]{4,}",
    ),
    # Oracle's USER/PASSWORD@PLACE
    Rule(
        _NAME,
        b":1521|oracle|@(desc",
        rb"\b[a-z][\w$#]{0,30}/",
        NO_VARIABLE
        + rb"[^\s/@\"'<>,;]{4,64}(?=@(?:\(description|(?://)?[\w.-]{1,99}:1521\b|\w{0,30}oracle))",
        any_case=True,
    ),
    # What connects to a database in C++ and Python, the password being an argument
    Rule(
        _NAME,
        b"tsqlserver::c|mysqldb|pymysql|cx_oracle|oracledb",
        rb"\b(?:TSQLServer::C|(?:MySQLdb|pymysql)\.c)onnect\(\s*(?:[\"'][^\"'\n]{0,200}[\"'],\s*){2}[\"']"
        rb"|\b(?:cx_Oracle|oracledb)\.connect\(\s*[\"'][^\"'/\n]{1,64}(?:/|[\"'],\s*[\"'])",
        NO_VARIABLE + rb"[^\"'@\n]{4,}",
    ),
    # CVS's :pserver:USER:PASSWORD@HOST
    Rule(_NAME, b":pserver:", rb":pserver:[^\s:@]{1,64}:", NO_VARIABLE + rb"[^\s@]{4,}(?=@)"),
    # SQL, and what expect sends
    Rule(
        _NAME,
        b"identified |assword",
        rb"\bIDENTIFIED (?:WITH \w{1,40} )?BY [\"']?|\b(?:WITH (?:ENCRYPTED )?PASSWORD |PASSWORD\()[\"']"
        rb"|assword:?\W{1,9}send\s(?:--\s)?[\"']",
        NO_VARIABLE + rb"[^\s\"';()\\]{4,}(?=[\"';\\])",
    ),
    *OF_COMMANDS,
    Rule(
        _NAME,
        b"kinit|proxy-init|arcproxy|myproxy|sudo -s|chpasswd|--stdin|e-fd|vault|login -",
        rb"\b(?:echo|printf)\s(?:-\w{1,9}\s)?(?:[\"']%s(?:\\n)?[\"']\s)?[\"']?",
        rb"(?![$<{-])[^\"'$|;&\n]{4,80}"
        rb"(?=[\"']?\s{0,9}\|\s{0,9}(?:/\S{0,80}/|sudo )?(?:" + _PIPE_READERS + rb")\b)",
    ),
]


def secret_files(line: bytes) -> List[bytes]:
    """Return the words of a command, as a script has it, that name files with a password."""
    return [b"".join(words) for words in re.findall(_FILES, line)]
