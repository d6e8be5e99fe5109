"""The environment in a bundle: `env/`, with recorded variables, host, products, libraries."""

import re
from collections.abc import Mapping

from jobprov.provenance.bundle.fields import readable_json, text
from jobprov.provenance.bundle.needs import CODE, ENVIRONMENT
from jobprov.provenance.bundle.payload.environment.packages import (
    Package,
    add_os_packages,
    add_requirements,
    listed_packages,
    need_packages,
)
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import quote
from jobprov.provenance.records.job_record import JsonObject

_NAME = re.compile(r"[A-Za-z_][^=\x00-\x20\x7f]*\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# Set by run.sh itself, or meaningful only in the session of the job
_PER_RUN = frozenset({"HOME", "OLDPWD", "PWD", "SHLVL", "TMPDIR", "_"})
_HOST = (
    "facility",
    "site",
    "slot",
    "hostname",
    "is_onsite",
    "cpu_model",
    "cpu_flags_sha256",
    "cores",
    "memory_bytes",
)
_BATCH = ("system", "id", "global_job_id", "attempt", "part")
_ENVIRONMENT = ("os", "locale", "timezone", "umask", "niceness", "limits")
_PRODUCTS = ("name", "manager", "version", "qualifiers", "prefix", "digest")
_HOW = {
    "image": "sh run.sh --capsule FILE",
    "files": "unpack it, then sh run.sh --capsule FOLDER/data/root",
}


def add_environment(payload: Payload) -> None:
    """Write `env/`.

    Variables are rewritten for everything that is laid out, so that must have been done before.
    """
    environment = payload.environment
    variables = {}
    for name, value in environment.part("variables").fields.items():
        variables[text(name)] = text(value)
    if not isinstance(environment.fields.get("variables"), dict):
        why = "the environment of the job was not recorded"
        payload.needs.add(CODE, "environment", "variables", why)
    _write_variables(payload, variables)
    _write_withheld(payload, variables, environment.texts("withheld"))
    _write_host(payload)
    packages = listed_packages(payload)
    _write_products(payload, packages)
    need_packages(payload, packages)
    add_requirements(payload, packages)
    add_os_packages(payload)
    _write_container(payload)
    _write_listing(payload, "packages_sha256", "env/packages.txt")
    _write_listing(payload, "libraries_sha256", "env/libs.tsv")
    _write_touched(payload)


def _write_listing(payload: Payload, field: str, path: str) -> None:
    sha256 = payload.environment.digest(field)
    if not sha256:
        return
    if not payload.has(sha256):
        payload.needs.add(CODE, "environment", field, "a listing of the environment", digest=sha256)
    elif payload.level >= CODE:
        payload.keep(path, sha256)


def _write_touched(payload: Payload) -> None:
    """Write `env/touched.tsv`, what a traced job used of installed software, if it is here.

    A rerun can do without it, and bundles of the first edition have none.
    """
    sha256 = payload.environment.digest("touched_sha256")
    if payload.edition > 1 and payload.level >= CODE and payload.has(sha256):
        payload.keep("env/touched.tsv", sha256)


def _write_variables(payload: Payload, variables: dict[str, str]) -> None:
    """`env/environment.sh`: one `set --` that puts NAME=VALUE words before the arguments."""
    settable = {name: value for name, value in variables.items() if is_settable(name)}
    search_path = _search_path(payload)
    if search_path:
        settable.setdefault("FHICL_FILE_PATH", search_path)
    path = settable.pop("PATH", "")
    job_path = ""  # only the caller's PATH is used
    if path:
        job_path = list_word(payload, "PATH", path) + ":"
    shell_words = {}
    for name, value in sorted(settable.items()):
        if name == "LD_LIBRARY_PATH":
            shell_words[name] = list_word(payload, name, value)
        else:
            shell_words[name] = payload.places.rewrite(value)
    payload.variables = {"PATH": job_path, **shell_words}
    lines = [
        "# the recorded variables; sourced by run.sh, nothing in single quotes is ever expanded"
    ]
    payload.shell("env/environment.sh", [*lines, *variable_lines(job_path, shell_words)])


def variable_lines(job_path: str | None, shell_words: Mapping[str, str]) -> list[str]:
    """Lines of shell that set PATH and put variables before the arguments.

    `job_path` goes before the caller's PATH; it is None if the PATH is set already.
    """
    lines = [] if job_path is None else [f'job_path={job_path}"$caller_path"']
    if not shell_words:
        return lines
    settings = []
    for name, word in shell_words.items():
        # Functions that bash hands down have names that are no words of a shell: BASH_FUNC_x%%
        name_word = name if _PLAIN_NAME.match(name) else quote(name)
        settings.append(f"  {name_word}={word} \\")
    return [*lines, "set -- \\", *settings, '  "$@"']


def is_settable(name: str) -> bool:
    """Whether run.sh gives the job a variable of this name."""
    return _NAME.match(name) is not None and not _is_per_run(name)


def _is_per_run(name: str) -> bool:
    """Whether a variable is set by run.sh, or belongs to the recorder.

    With the recorder's variables, a rerun would be recorded as the job itself.
    """
    return name in _PER_RUN or name.startswith("JOBPROV_")


def list_word(payload: Payload, name: str, value: str) -> str:
    """A list of folders as a shell word: first where the bundle lays them out, then as recorded.

    The recorded folders may have files that the bundle lacks, such as a venv that git ignores.
    """
    laid_out = payload.places.rewrite(value)
    if laid_out == quote(value):
        return laid_out
    # `command/paths.sh` sets this to the recorded list, unless that is what is laid out already
    variable = f"then_{name}"
    payload.then_lists[variable] = value
    return f'{laid_out}"${variable}"'


def _search_path(payload: Payload) -> str:
    """The search path of the first configuration that has one."""
    for configuration in payload.record.parts("configurations"):
        folders = configuration.texts("search_path")
        if folders:
            return ":".join(folders)
    return ""


def _write_withheld(payload: Payload, variables: dict[str, str], withheld: list[str]) -> None:
    """`env/withheld.tsv`: the variables that a rerun does not get, and why."""
    lines = [(name, "withheld by the recorder") for name in sorted(set(withheld))]
    for name in sorted(variables):
        if _is_per_run(name):
            lines.append((name, "true of one run only"))
    for name in sorted(variables):
        if not _NAME.match(name):
            lines.append((name, "no name that run.sh can set"))
    payload.table("env/withheld.tsv", ("name", "why"), lines)


def _write_host(payload: Payload) -> None:
    document = {
        "host": payload.record.part("host").only(_HOST),
        "batch": payload.record.part("batch").only(_BATCH),
        **payload.environment.only(_ENVIRONMENT),
        "threads": payload.record.fields.get("threads"),
    }
    payload.write("env/host.json", readable_json(document))


def _write_products(payload: Payload, packages: list[Package]) -> None:
    """Write `env/products.tsv`: the software's products, then what the recorder listed."""
    table = []
    for entry in payload.record.parts("software"):
        product = entry.part("product")
        if product:
            table.append(
                (
                    entry.text("name"),
                    product.text("manager"),
                    product.text("version"),
                    product.text("qualifiers"),
                    product.text("prefix"),
                    product.text("root_hash"),
                )
            )
    for package in packages:
        row = (package.name, package.kind, package.version, "", package.place, package.record)
        table.append(row)
    payload.table("env/products.tsv", _PRODUCTS, table)


def _write_container(payload: Payload) -> None:
    """Write `env/capsule.json`, and note its file as a need.

    It names the capsule if the archive has one, else the image.
    """
    container = payload.environment.part("container")
    capsule = payload.ingredients.capsule
    document: JsonObject = {"capsule": None, "container": container.fields or None}
    if capsule is not None:
        document["capsule"] = {"kind": capsule.kind, "sha256": capsule.sha256, "size": capsule.size}
        payload.needs.has_capsule = payload.level >= ENVIRONMENT
        payload.needs.add(
            ENVIRONMENT,
            "capsule",
            capsule.name,
            f"the environment ({capsule.kind}), a file of its own: {_HOW[capsule.kind]}",
            digest=capsule.sha256,
            size=capsule.size,
        )
    if container:
        payload.needs.add(
            ENVIRONMENT,
            "container",
            container.text("image"),
            "the image that the job ran in",
            digest=container.text("digest"),
            place=container.text("resolved_path"),
        )
    if container or capsule is not None:
        payload.write("env/capsule.json", readable_json(document))
