"""Programs that are given a password, and where it stands in their command."""

from jobprov.provenance.capture.secrets.rules import NO_VARIABLE, Rule

_NAME = "user-password"
# Words of one command, over lines that a backslash joins
_WORDS = rb"(?:[^\n|;&\\]|\\\n?){0,200}?\s"
_LOGIN = rb"(?:docker|podman|buildah|helm|apptainer|singularity|oc|oras)\s(?:\w+\s)?login"
# (signs, program, its option before a password, anywhere among the words of the command)
_OPTIONS = [
    (b"ldap", rb"ldap(?:search|add|modify|delete|whoami|passwd|compare)", rb"-w"),
    (b"redis-cli", rb"redis-cli", rb"(?:-a|--pass)"),
    (
        b"smbc|smbget|smbspool|rpcclient",
        rb"(?:smb(?:client|get|cacls|spool)|rpcclient)",
        rb"(?:-U|--user)[ =]?[\"']?[^\s%\"'$]{1,64}%",
    ),
    (b"login -", _LOGIN, rb"-p"),
    (b"-pwd", rb"rucio", rb"-pwd"),
    (b"openssl", rb"openssl", rb"(?:-pass(?:in|out)?\s[\"']?pass:|-[kK]\s)"),
    (b"lftp", rb"lftp", rb"-u[ ]?[\"']?[^\s,\"'$]{1,64},"),
    (b"keytool", rb"keytool", rb"-\w{0,9}(?:store|key)pass"),
    (b"userpass", rb"davix-\w{1,9}", rb"--userpass"),
    (b"zip -", rb"(?<!\.)(?:un)?zip", rb"-P"),
    (b"7z |7za ", rb"7z\w?\s[a-z]", rb"-p"),
    (b"-pass", rb"gpg2?", rb"--passphrase"),
    (b"mongo", rb"mongo\w{0,9}", rb"-p"),
]
# What reads a password from the text behind `<<`, and from a pipe
_HERE_READERS = rb"\b(?:kinit|proxy-init|myproxy-\w{1,9}|sudo\s-S)"
_PIPE_READERS = (
    rb"kinit|(?:voms-|grid-)?proxy-init|arcproxy|myproxy-\w{1,9}|sudo\s-S|chpasswd|passwd\s--stdin"
    rb"|gpg2?\s[^\n|;&]{0,99}--passphrase-fd|ansible-vault|" + _LOGIN
)
# (signs, all of the command that stands before the password)
_COMMANDS = [
    (
        b"htpasswd",
        rb"\bhtpasswd (?:-\w{1,9} ){0,3}-(?!\w{0,9}n)\w{0,9}b\w{0,9} \S{1,200} \S{1,64} ",
    ),
    (b"htpasswd", rb"\bhtpasswd -\w{0,9}(?:nb|bn)\w{0,9} \S{1,64} "),
    (b"aws_se", rb"\baws\sconfigure\sset\s[\w.-]{0,64}aws_se\w{1,40}\s"),
    (b"mc alias", rb"\bmc\salias\sset(?:\s[^\s|;&]{1,200}){3}\s"),
    (b"vault", rb"\bvault\slogin\s"),
    (b"sqlplus", rb"\bsqlplus\s(?:-\w+\s)*[^\s/@]{1,64}/"),
    (b"-creds", rb"(?<=-)\bcreds[ =][\"']?[^\s:\"'$]{1,64}:"),
    (b"from-literal", rb"(?<=-)\bfrom-literal[ =][\"']?[\w.-]{1,99}="),
    (
        b"kinit|proxy-init|myproxy|sudo -s",
        _HERE_READERS + rb"\b[^\n|;&<]{0,99}<<(?:<|-?[ ]?[\"']?\w{1,20}[\"']?\n)",
    ),
]
# What may stand between an option and a password, and a password that is a word
_GAP = rb"[ \t=]{0,9}[\"']?"
_WORD = rb"(?![$<{-])[^\s\"'$<|;&]{4,}"
# Rules that hold for a list of arguments, joined by blanks, as for a line of a script
OF_COMMANDS = [
    *[
        Rule(_NAME, signs, rb"\b" + program + rb"\b" + _WORDS + option + _GAP, _WORD)
        for signs, program, option in _OPTIONS
    ],
    *[Rule(_NAME, signs, command + _GAP, _WORD) for signs, command in _COMMANDS],
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
