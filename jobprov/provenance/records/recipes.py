"""Two identities of a job, computed from its merged record: its recipe and its result.

The recipe identifies what went in, the result what came out. If jobs of one recipe have different
results, they are nondeterministic, no matter who ran them and when.

Names of files, folders and hosts are not part of either; git and ParameterSet ids of clean
checkouts stand for the bytes that they name.

Source: docs/reference/verdicts.md ("Recipe and result"), record.md ("Two identities").
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from jobprov.provenance.records.files.inputs import ABSENT
from jobprov.provenance.records.job_record import (
    UNTOLD,
    Condition,
    Input,
    JobRecord,
    Output,
    Product,
    Software,
)

_STRONG, _WEAK = b"\x00", b"\x01"
_SCHEMES = {_STRONG: "r1", _WEAK: "r1w"}
_DIGEST_BYTES = 16  # enough that no two of a thousand million recipes are equal by accident
_TAG_BYTES = 4
_ALGORITHMS = (
    "root-content-2",
    "root-masked-1",
    "text-content-1",
    "sha512",
    "sha256",
    "sha1",
    "md5",
    "adler32",
    "enstore",
)
"""Of digests and checksums that identify a file, the best first."""
_STRENGTH = {algorithm: place for place, algorithm in enumerate(_ALGORITHMS)}
_STRONG_CHECKSUMS = ("sha256", "sha512")
_KEPT = frozenset({None, "written", "empty"})
_PARENT_ROLES = frozenset({None, "primary", "secondary"})
_ROOT_FORMATS = frozenset({"root", "artroot", "rootntuple", "caf"})
_DIGEST = re.compile(r"[0-9a-f]{32}")
_OUTPUT = "{output}"
_Part = str | None
"""Stands for something that is not recorded."""


def recipe_of(record: JobRecord) -> bytes | None:
    """Return the recipe of a job as the database holds it.

    None if the record lacks what decides the outcome.
    """
    has_code = bool(record.software or record.scripts)
    is_unseeded_generator = bool(record.outputs and not record.inputs and not record.seeds)
    if not has_code or is_unseeded_generator:
        return None
    inputs, is_weak = _input_parts(record.inputs or ())
    parts = [*_code_parts(record), *_random_parts(record), *inputs, *_step_parts(record)]
    if None in parts:
        return None
    return (_WEAK if is_weak else _STRONG) + _digest(parts)  # type: ignore[arg-type]


def result_of(record: JobRecord) -> bytes | None:
    """Return the result of a job as the database holds it.

    Its kept outputs, by known content, else by bytes.

    None if the job did not succeed or kept no output, or if one of them cannot be compared: the
    bytes of a ROOT file contain the date of writing, and so prove nothing.
    """
    if record.state != "succeeded":
        return None
    digests: list[str] = []
    for output in record.outputs or ():
        if output.status not in _KEPT:
            continue
        digest = _output_identity(output)
        if digest is None:
            return None
        digests.append(digest)
    if not digests:
        return None
    algorithms = {digest.partition(":")[0] for digest in digests}
    return _tag(sorted(algorithms)) + _digest(sorted(digests))


def recipe_text(recipe: bytes) -> str:
    """Return a recipe id: `r1:hex`, or `r1w:hex` if it is weak.

    It is weak if an input is identified by size and short checksum alone. Since ids are compared as
    a whole, weak ones never equal strong ones.
    """
    return f"{_SCHEMES[recipe[:1]]}:{recipe[1:].hex()}"


def parse_recipe(text: str) -> bytes | None:
    """Return a recipe id as the database holds it; None if the text is none."""
    scheme, _, digest = text.partition(":")
    if scheme not in _SCHEMES.values() or not _DIGEST.fullmatch(digest):
        return None
    return (_STRONG if scheme == "r1" else _WEAK) + bytes.fromhex(digest)


def result_text(result: bytes) -> str:
    """Return a result id: `algorithm:hex`, `mixed-tag` for several.

    Results are compared within one algorithm.
    """
    tag = result[:_TAG_BYTES]
    algorithm = _ALGORITHM_OF.get(tag) or f"mixed-{tag.hex()}"
    return f"{algorithm}:{result[_TAG_BYTES:].hex()}"


def is_comparable(first: bytes, second: bytes) -> bool:
    """Return whether two results are of one algorithm, so that a difference means something."""
    return first[:_TAG_BYTES] == second[:_TAG_BYTES]


def _digest(parts: Sequence[str]) -> bytes:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).digest()[:_DIGEST_BYTES]


@lru_cache(maxsize=256)
def _tag_of(algorithms: str) -> bytes:
    return hashlib.sha256(algorithms.encode("utf-8", "surrogatepass")).digest()[:_TAG_BYTES]


def _tag(algorithms: Sequence[str]) -> bytes:
    return _tag_of(",".join(algorithms))


_ALGORITHM_OF = {_tag([name]): name for name in _ALGORITHMS}


def _code_parts(record: JobRecord) -> list[_Part]:
    """Return what ran: configurations, scripts, code, container and conditions.

    Code is repositories and products.
    """
    scripts = [script.sha256 for script in record.scripts or () if script.evidence not in UNTOLD]
    software = [_software_identity(software) for software in record.software or ()]
    return [
        *_configuration_parts(record),
        "scripts",
        *_in_any_order(scripts),
        "software",
        *_in_any_order(software),
        *_container_parts(record),
        *_conditions_parts(record),
    ]


def _configuration_parts(record: JobRecord) -> list[_Part]:
    parts: list[_Part] = []
    for configuration in record.configurations or ():
        parts += ["fcl", configuration.process_name or "", *(configuration.overrides or ())]
        parts += [file.sha256 for file in configuration.files or ()]
    return parts


def _container_parts(record: JobRecord) -> list[_Part]:
    """Return what identifies the container; nothing if the job ran in none."""
    container = record.environment.container if record.environment else None
    if container is None:
        return []
    digest = container.digest or container.root_hash
    if digest:
        return ["container", digest]
    if container.image:
        # Its name alone does not identify the image that ran
        return ["container", None]
    return ["container", ""]


def _conditions_parts(record: JobRecord) -> list[_Part]:
    """Return what identifies the conditions; nothing if the job read none."""
    if not record.conditions:
        return []
    conditions = [_conditions_identity(condition) for condition in record.conditions]
    return ["conditions", *_in_any_order(conditions)]


def _in_any_order(parts: list[_Part]) -> list[_Part]:
    """Return parts sorted, as their order does not count; only None if one of them is unknown."""
    return [None] if None in parts else sorted(parts)  # type: ignore[type-var]


def _software_identity(software: Software) -> _Part:
    """Return what identifies the code: an id of the bytes that ran if one is known."""
    if software.worktree_tree or software.is_dirty:
        return software.worktree_tree or software.objects_sha256
    if software.revision or software.tree:
        return software.revision or software.tree
    if software.tarball is not None and software.tarball.sha256:
        return software.tarball.sha256
    return None if software.product is None else _product_identity(software.name, software.product)


def _product_identity(name: str | None, product: Product) -> _Part:
    if product.root_hash:
        return product.root_hash
    if not product.version:
        return None
    return f"{name or ''} {product.version} {product.qualifiers or ''}"


def _conditions_identity(condition: Condition) -> _Part:
    if not (condition.tag or condition.payload_sha256):
        return None
    constants = condition.payload_sha256 or f"{condition.tag} {condition.validity or ''}"
    return f"{condition.database or ''} {constants}"


def _random_parts(record: JobRecord) -> list[_Part]:
    """Return what decides random numbers: seeds, and the number of threads."""
    seeds: list[_Part] = []
    for seed in record.seeds or ():
        engine = (seed.step, seed.module, seed.instance, seed.engine)
        words = [word or "" for word in engine]
        seeds.append(" ".join([*words, str(seed.seed), seed.state_sha256 or ""]))
    return ["seeds", *_in_any_order(seeds), str(record.threads or 1)]


def _input_parts(inputs: Sequence[Input]) -> tuple[list[_Part], bool]:
    """Return what identifies each input, and whether one has only a short checksum.

    The order of data counts, that of shared inputs does not.
    """
    data: list[_Part] = []
    shared: list[_Part] = []
    is_weak = False
    for file in inputs:
        if file.evidence in UNTOLD:
            continue  # a look may come too late for it in another run
        identity: _Part = file.sha256
        if not identity and file.status == ABSENT:
            identity = ABSENT
        elif not identity:
            identity, is_strong = _checksum_identity(file)
            is_weak = is_weak or not is_strong
        if file.role in _PARENT_ROLES:
            data.append(identity)
        else:
            shared.append(identity)
    return ["inputs", *data, "shared", *_in_any_order(shared)], is_weak


def _checksum_identity(file: Input) -> tuple[_Part, bool]:
    """Return what identifies an input without SHA-256, and whether that is as good."""
    checksum = _best_checksum(file.checksums)
    if checksum is None:
        return None, False
    algorithm, value = checksum
    if algorithm in _STRONG_CHECKSUMS:
        return f"{algorithm}:{value}", True
    if file.size_bytes is None:
        return None, False
    return f"{file.size_bytes} {algorithm}:{value}", False


def _best_checksum(checksums: Sequence[str] | None) -> tuple[str, str] | None:
    best: tuple[str, str] | None = None
    for checksum in checksums or ():
        algorithm, _, value = checksum.lower().partition(":")
        if algorithm in _STRENGTH and (best is None or _STRENGTH[algorithm] < _STRENGTH[best[0]]):
            best = algorithm, value
    return best


def _output_identity(output: Output) -> _Part:
    """Return what identifies the content of an output; None if nothing does."""
    if output.content_digest:
        return output.content_digest
    if output.name.endswith(".root") or (output.file_format or "").lower() in _ROOT_FORMATS:
        return None
    if output.sha256:
        return f"sha256:{output.sha256}"
    checksum = _best_checksum(output.checksums)
    if checksum is None:
        return None
    algorithm, value = checksum
    return f"{algorithm}:{output.size_bytes or ''} {value}"


def _step_parts(record: JobRecord) -> list[_Part]:
    """Return the arguments of the payload and its standard input.

    Declared paths are replaced by what they stand for.
    """
    command = record.command
    if command is None:
        return [None]
    payload = [step for step in command.steps or () if step.role == "payload" and step.argv]
    if not payload and not command.argv:
        return [None]
    paths = _Paths(record)
    parts: list[_Part] = []
    for step in payload:
        parts += ["step", *paths.arguments(step.argv), *_standard_input_parts(step.stdin_sha256)]
    if not payload:
        parts += ["step", *paths.arguments(command.argv)]
    return [*parts, *_standard_input_parts(command.stdin_sha256)]


def _standard_input_parts(stdin: str | None) -> list[_Part]:
    """Return what identifies the bytes on standard input.

    Nothing if there were none, so that recipes of other jobs stayed the same when this was added.
    """
    return ["standard input", stdin] if stdin else []


class _Paths:
    """The declared paths of a job, which arguments are compared without.

    Inputs and scripts are named by their content, outputs by the order in which arguments name
    them.
    """

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        self._roots: list[tuple[str, str]] | None = None
        self._labels: dict[str, str] = {}
        for path, label in _declared_paths(record):
            plain = self._plain(path) if "/" in path else path
            self._labels[plain] = label
        self._output_labels: dict[str, str] = {}

    def arguments(self, argv: Sequence[str] | None) -> list[str]:
        """Return the arguments of a command as the recipe holds them."""
        return [self._argument(argument) for argument in argv or ()]

    def _argument(self, argument: str) -> str:
        """Return an argument as the recipe holds it.

        The value of `--option=value` is looked at by itself.
        """
        if not argument.startswith("-"):
            return self._labelled(argument)
        option, equals, value = argument.partition("=")
        return f"{option}={self._labelled(value)}" if equals else argument

    def _labelled(self, path: str) -> str:
        """Return the label for a path; a text that is not a path is returned as it is."""
        plain = self._plain(path) if "/" in path else path
        label = self._labels.get(plain, plain)
        if label is not _OUTPUT:
            return label
        return self._output_labels.setdefault(plain, f"{{output {len(self._output_labels)}}}")

    def _plain(self, path: str) -> str:
        """Return a path relative to the working directory, or to its checkout or product.

        The checkout or product is the one that the path lies in.
        """
        if path.startswith("/"):
            if self._roots is None:
                self._roots = list(_roots(self._record))
            for root, label in self._roots:
                if path.startswith(root):
                    return label + path[len(root) :]
        return path.removeprefix("./")


def _declared_paths(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield paths as arguments may name them, and what stands for them.

    A later one of the same path counts.
    """
    yield from _paths_of_sources(record)
    yield from _paths_of_inputs(record)
    for output in record.outputs or ():
        yield output.path or output.name, _OUTPUT


def _paths_of_sources(record: JobRecord) -> Iterator[tuple[str, str]]:
    for configuration in record.configurations or ():
        if configuration.main:
            yield configuration.main, "{fcl}"
    for script in record.scripts or ():
        yield script.path or script.name, f"{{script {script.sha256}}}"


def _paths_of_inputs(record: JobRecord) -> Iterator[tuple[str, str]]:
    for place, file in enumerate(record.inputs or ()):
        label = f"{{input {file.sha256 or place}}}"
        yield file.path or file.name, label
        if file.location:
            yield file.location, label


def _roots(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield folders, each with a slash at its end, and what stands for them."""
    folders: list[tuple[str | None, str]] = []
    if record.command:
        folders.append((record.command.working_directory, ""))
    for software in record.software or ():
        label = f"{{{software.name or ''}}}/"
        folders.append((software.checkout, label))
        if software.product:
            folders.append((software.product.prefix, label))
    for folder, label in folders:
        if folder and folder.strip("/"):
            yield folder.rstrip("/") + "/", label
