"""Two identities of a job, from its merged record alone.

What went in (the recipe) and what came out (the result).

Jobs of one recipe that have different results are nondeterministic, whoever ran them and whenever.
Names of files, folders and hosts are no part of either; git and ParameterSet ids of clean checkouts
stand for the bytes that they name.

Source: docs/reference/verdicts.md ("Recipe and result"), record.md ("Two identities").
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from jobprov.provenance.records.job_record import Condition, Input, JobRecord, Output, Software

_STRONG, _WEAK = b"\x00", b"\x01"
_SCHEMES = {_STRONG: "r1", _WEAK: "r1w"}
_DIGEST_BYTES = 16  # of a thousand million recipes no two are alike by accident
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
_STRENGTH = {name: place for place, name in enumerate(_ALGORITHMS)}
_STRONG_CHECKSUMS = ("sha256", "sha512")
_KEPT = frozenset({None, "written", "empty"})
_PARENT_ROLES = frozenset({None, "primary", "secondary"})
_ROOT_FORMATS = frozenset({"root", "artroot", "rootntuple", "caf"})
_DIGEST = re.compile(r"[0-9a-f]{32}")
_OUTPUT = "{output}"
_Part = str | None


def recipe_of(record: JobRecord) -> bytes | None:
    """Return the recipe of a job as the database holds it.

    None where the record does not say everything that decides what comes out.
    """
    if not (record.software or record.scripts) or (
        record.outputs and not record.inputs and not record.seeds
    ):
        return None  # no code, or a generator whose seed nobody told
    inputs, is_weak = _inputs(record.inputs or ())
    parts = [*_code(record), *_randomness(record), *inputs, *_steps(record)]
    if None in parts:
        return None
    return (_WEAK if is_weak else _STRONG) + _digest(parts)  # type: ignore[arg-type]


def result_of(record: JobRecord) -> bytes | None:
    """Return the result of a job as the database holds it.

    Its outputs kept, by content where that is known, else by bytes.

    None where the job did not succeed or keep an output, or one of them cannot be compared: the
    bytes of a ROOT file hold the date of writing, and so tell nothing.
    """
    if record.state != "succeeded":
        return None
    found = [_output(output) for output in record.outputs or () if output.status in _KEPT]
    if not found or None in found:
        return None
    digests: list[str] = sorted(found)  # type: ignore[arg-type]
    return _tag(sorted({digest.partition(":")[0] for digest in digests})) + _digest(digests)


def recipe_text(recipe: bytes) -> str:
    """Return a recipe id: `r1:hex`, or `r1w:hex` where an input is named by size and short checksum alone.

    Weak ones are compared with weak ones only, as all ids are compared as a whole.
    """
    return f"{_SCHEMES[recipe[:1]]}:{recipe[1:].hex()}"


def parse_recipe(text: str) -> bytes | None:
    """Return what the database holds of a recipe id; None where this is none."""
    scheme, _, digest = text.partition(":")
    if scheme not in _SCHEMES.values() or not _DIGEST.fullmatch(digest):
        return None
    return (_STRONG if scheme == "r1" else _WEAK) + bytes.fromhex(digest)


def result_text(result: bytes) -> str:
    """Return a result id: `algorithm:hex`, where results are compared within one algorithm.

    `mixed-tag` names several.
    """
    tag = result[:_TAG_BYTES]
    return f"{_ALGORITHM_OF.get(tag) or 'mixed-' + tag.hex()}:{result[_TAG_BYTES:].hex()}"


def is_comparable(one: bytes, other: bytes) -> bool:
    """Return whether two results are of the same algorithm, so that being different means something."""
    return one[:_TAG_BYTES] == other[:_TAG_BYTES]


def _digest(parts: Sequence[str]) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[
        :_DIGEST_BYTES
    ]


@lru_cache(maxsize=256)
def _tag_of(algorithms: str) -> bytes:
    return hashlib.sha256(algorithms.encode("utf-8", "surrogatepass")).digest()[:_TAG_BYTES]


def _tag(algorithms: Sequence[str]) -> bytes:
    return _tag_of(",".join(algorithms))


_ALGORITHM_OF = {_tag([name]): name for name in _ALGORITHMS}


def _code(record: JobRecord) -> list[_Part]:
    """Return what ran: configurations, scripts, repositories and products, container, conditions.

    None where one is not known.
    """
    parts: list[_Part] = []
    for configuration in record.configurations or ():
        parts += ["fcl", configuration.process_name or "", *(configuration.overrides or ())]
        parts += [file.sha256 for file in configuration.files or ()]
    parts.append("scripts")
    parts += _sorted([script.sha256 for script in record.scripts or ()])
    parts.append("software")
    parts += _sorted([_software(software) for software in record.software or ()])
    if record.environment is not None and (container := record.environment.container) is not None:
        parts += [
            "container",
            container.digest or container.root_hash or (None if container.image else ""),
        ]
    if record.conditions:
        parts.append("conditions")
        parts += _sorted([_condition(condition) for condition in record.conditions])
    return parts


def _sorted(parts: list[_Part]) -> list[_Part]:
    return [None] if None in parts else sorted(parts)  # type: ignore[type-var]


def _software(software: Software) -> _Part:
    """Return what names the code: the files that ran, as far as they are known by an id of their bytes."""
    if software.is_dirty:
        return software.worktree_tree or software.objects_sha256
    if software.revision or software.tree:
        return software.revision or software.tree
    tarball, product = software.tarball, software.product
    if tarball is not None and tarball.sha256:
        return tarball.sha256
    if product is None or not (product.root_hash or product.version):
        return None
    return (
        product.root_hash or f"{software.name or ''} {product.version} {product.qualifiers or ''}"
    )


def _condition(condition: Condition) -> _Part:
    if not (condition.tag or condition.payload_sha256):
        return None
    named = condition.payload_sha256 or f"{condition.tag} {condition.validity or ''}"
    return f"{condition.database or ''} {named}"


def _randomness(record: JobRecord) -> list[_Part]:
    seeds: list[_Part] = [
        f"{seed.step or ''} {seed.module or ''} {seed.instance or ''} {seed.engine or ''} {seed.seed} {seed.state_sha256 or ''}"
        for seed in record.seeds or ()
    ]
    return ["seeds", *_sorted(seeds), str(record.threads or 1)]


def _inputs(inputs: Sequence[Input]) -> tuple[list[_Part], bool]:
    """Return what names each input, and whether one has a short checksum only.

    The order of data is kept, that of the rest is not.
    """
    data: list[_Part] = []
    rest: list[_Part] = []
    is_weak = False
    for file in inputs:
        named: _Part = file.sha256
        if not named:
            named, is_strong = _by_checksum(file)
            is_weak = is_weak or not is_strong
        (data if file.role in _PARENT_ROLES else rest).append(named)
    return ["inputs", *data, "shared", *_sorted(rest)], is_weak


def _by_checksum(file: Input) -> tuple[_Part, bool]:
    """Return what names an input without SHA-256, and whether that is as good."""
    checksum = _best_checksum(file.checksums)
    if checksum is not None and checksum[0] in _STRONG_CHECKSUMS:
        return f"{checksum[0]}:{checksum[1]}", True
    if checksum is None or file.size_bytes is None:
        return None, False
    return f"{file.size_bytes} {checksum[0]}:{checksum[1]}", False


def _best_checksum(checksums: Sequence[str] | None) -> tuple[str, str] | None:
    best: tuple[str, str] | None = None
    for checksum in checksums or ():
        algorithm, _, value = checksum.lower().partition(":")
        if algorithm in _STRENGTH and (best is None or _STRENGTH[algorithm] < _STRENGTH[best[0]]):
            best = algorithm, value
    return best


def _output(output: Output) -> _Part:
    if output.content_digest:
        return output.content_digest
    if output.name.endswith(".root") or (output.file_format or "").lower() in _ROOT_FORMATS:
        return None
    if output.sha256:
        return f"sha256:{output.sha256}"
    checksum = _best_checksum(output.checksums)
    return None if checksum is None else f"{checksum[0]}:{output.size_bytes or ''} {checksum[1]}"


def _steps(record: JobRecord) -> list[_Part]:
    """Return the argument lists of the payload, declared paths replaced by what they stand for, and what it read from standard input."""
    command = record.command
    if command is None:
        return [None]
    steps = [
        (step.argv, step.stdin_sha256)
        for step in command.steps or ()
        if step.role == "payload" and step.argv
    ]
    if not steps and command.argv:
        steps = [(command.argv, None)]
    if not steps:
        return [None]
    paths = _Paths(record)
    parts: list[_Part] = []
    for argv, stdin in steps:
        parts.append("step")
        parts += [paths.word(word) for word in argv]
        parts += _read_from(stdin)
    return [*parts, *_read_from(command.stdin_sha256)]


def _read_from(stdin: str | None) -> list[_Part]:
    """Return what names the bytes on standard input.

    Nothing where there were none, so that recipes of other jobs are what they were.
    """
    return ["standard input", stdin] if stdin else []


class _Paths:
    """The declared paths of a job, to be taken out of words.

    Inputs and scripts are named by what they hold, outputs as they are met.
    """

    def __init__(self, record: JobRecord) -> None:
        self._record = record
        self._roots: list[tuple[str, str]] | None = None
        labels = {
            configuration.main: "{fcl}"
            for configuration in record.configurations or ()
            if configuration.main
        }
        for script in record.scripts or ():
            labels[script.path or script.name] = f"{{script {script.sha256}}}"
        for place, file in enumerate(record.inputs or ()):
            label = f"{{input {file.sha256 or place}}}"
            labels[file.path or file.name] = label
            if file.location:
                labels[file.location] = label
        for output in record.outputs or ():
            labels[output.path or output.name] = _OUTPUT
        self._labels = {
            path if "/" not in path else self._plain(path): label for path, label in labels.items()
        }
        self._met: dict[str, str] = {}

    def word(self, word: str) -> str:
        """Return an argument as the recipe holds it.

        The value of `--option=value` is looked at by itself.
        """
        if word[:1] == "-":
            option, equals, value = word.partition("=")
            return f"{option}={self._role(value)}" if equals else word
        return self._role(word)

    def _role(self, word: str) -> str:
        plain = self._plain(word) if "/" in word else word
        label = self._labels.get(plain, plain)
        return (
            label
            if label is not _OUTPUT
            else self._met.setdefault(plain, f"{{output {len(self._met)}}}")
        )

    def _plain(self, path: str) -> str:
        """Return a path relative to the working directory, or to the checkout or product that it lies in."""
        if path.startswith("/"):
            if self._roots is None:
                self._roots = list(_roots(self._record))
            for root, label in self._roots:
                if path.startswith(root):
                    return label + path[len(root) :]
        return path.removeprefix("./")


def _roots(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield folders, each with a slash at its end, and what stands for them."""
    folders = [(record.command.working_directory if record.command else None, "")]
    for software in record.software or ():
        label = f"{{{software.name or ''}}}/"
        folders += [
            (software.checkout, label),
            (software.product.prefix if software.product else None, label),
        ]
    for folder, label in folders:
        if folder and folder.strip("/"):
            yield folder.rstrip("/") + "/", label
