"""The one file: small, self-contained, and the same bytes wherever it is built.

And what it costs a job.
"""

import ast
import dis
import hashlib
import inspect
import os
import subprocess
import sys
import typing
import zipfile
from pathlib import Path
from types import CodeType

import pytest

from jobprov.provenance.capture import loading, packing
from jobprov.provenance.capture.shortening import shorten

ROOT = Path(__file__).resolve().parents[3]
JSON_OBJECTS = "jobprov.provenance.capture.record.json_objects"
"""Names for annotations."""
OF_CELLS = frozenset({"MAKE_CELL", "COPY_FREE_VARS", "LOAD_CLOSURE"})
"""Their order is that of the names."""


@pytest.mark.slow
def test_build_is_the_same_under_any_surroundings(hook: str, tmp_path: Path) -> None:
    """The other build is that of these tests, under the surroundings that they were started in."""
    target = tmp_path / "again.pyz"
    surroundings = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "de_DE.UTF-8",
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
    }
    command = f'umask 077; exec "{sys.executable}" "{ROOT}/scripts/build_hook.py" "{target}"'

    out = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=surroundings,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    digest = hashlib.sha256(Path(hook).read_bytes()).hexdigest()
    assert out == f"{digest}  {target}\n"
    assert target.read_bytes() == Path(hook).read_bytes()


def sources_in(hook: str) -> dict[str, str]:
    """Return the sources in a built hook, by their names there."""
    sources = {}
    with zipfile.ZipFile(hook) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                sources[name] = archive.read(name).decode()
        first = loading.unpacked(archive.read("first"))
        later = loading.unpacked(archive.read("later"), first)
        for text in (first, later):
            for name, source in loading.sources_in(text).items():
                sources[name] = source.decode()
    return sources


def test_hook_is_under_150_kilobytes_and_executable(hook: str) -> None:
    assert Path(hook).stat().st_size < 150_000
    assert subprocess.run([hook, "--version"], check=True, capture_output=True).stdout.strip()


@pytest.mark.slow
def test_hook_imports_the_standard_library_only(hook: str) -> None:
    imported = set()
    for source in sources_in(hook).values():
        for node in ast.walk(ast.parse(source, feature_version=(3, 6))):
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)

    strangers = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    strangers.remove("jobprov_alone")
    assert {name.split(".")[0] for name in strangers} == {"jobprov"}
    assert all(name.startswith("jobprov.provenance.capture") for name in strangers)


@pytest.mark.slow
def test_hook_has_each_of_our_modules_that_it_imports(hook: str) -> None:
    sources = sources_in(hook)
    absent = set()
    for source in sources.values():
        for node in ast.walk(ast.parse(source, feature_version=(3, 6))):
            if not isinstance(node, ast.ImportFrom) or not node.module.startswith("jobprov."):
                continue
            path = node.module.replace(".", "/")
            if f"{path}.py" not in sources and f"{path}/__init__.py" not in sources:
                absent.add(node.module)

    assert absent == set()
    assert f"{JSON_OBJECTS.replace('.', '/')}.py" not in sources


def test_source_without_blanks_and_texts_of_names_does_the_same() -> None:
    source = (
        'def f(x = -1):\n    if x and not "a b" in ("c",\n            \'d  e\'):  # why\n'
        '        return """g\n  h""", 1 if x else- x\n\n\nMOST = 3\n"""Of what."""\n'
    )

    bare = packing.bare(source)

    assert bare == (
        'def f(x=-1):\n if x and not "a b" in("c",\n\'d  e\'):\n'
        '  return """g\n  h""",1 if x else-x\n\n\nMOST=3\n\n'
    )
    assert ast.dump(ast.parse(bare)) == ast.dump(ast.parse(source.replace('"""Of what."""', "")))


def test_source_without_comments_does_the_same() -> None:
    source = (
        '"""Doc."""\n# note\ndef f():\n    """Only this."""\n\n\ndef g():\n    """Doc\n'
        '    more."""\n    return "# kept"\n'
    )

    bare = packing.bare(source)

    names = {}
    exec(bare, names)  # noqa: S102 - our own source
    assert (names["f"](), names["g"]()) == (None, "# kept")
    assert len(bare.splitlines()) == len(source.splitlines())
    assert "note" not in bare
    assert "more" not in bare


@pytest.mark.slow
def test_every_module_means_the_same_after_packing() -> None:
    """Python compiles it to the same instructions, which tell local names from those of others."""
    folder = Path(packing.__file__).parent

    for path in folder.rglob("*.py"):
        source = path.read_text()
        packed = compile(packing.bare(source), path.name, "exec")
        assert_same(packed, compile(without_texts(source), path.name, "exec"), {})


def assert_same(packed: CodeType, code: CodeType, short_names: dict[str, str]) -> None:
    """Check that both do the same, each local name being one and the same short one."""
    instructions = [one for one in dis.get_instructions(packed) if one.opname not in OF_CELLS]
    wanted = [one for one in dis.get_instructions(code) if one.opname not in OF_CELLS]
    assert len(instructions) == len(wanted)
    for one, other in zip(instructions, wanted, strict=True):
        assert one.opname == other.opname
        if one.opname.endswith(("_FAST", "_DEREF")):
            assert short_names.setdefault(other.argval, one.argval) == one.argval
        elif isinstance(one.argval, CodeType):
            names = {} if is_outermost(code) else short_names
            assert_same(one.argval, other.argval, names)
        else:
            assert one.argval == other.argval
    assert len(set(short_names.values())) == len(short_names)


def is_outermost(code: CodeType) -> bool:
    """Return whether code is a module's or a class's, where each function is one by itself."""
    return not code.co_flags & inspect.CO_OPTIMIZED


def without_texts(source: str) -> ast.Module:
    """Return the syntax tree without docstrings, of names as well.

    A function of nothing else keeps an empty text in the place of its docstring.
    Annotations are left out, too, and the statements that only they need.
    """
    tree: ast.Module = Plain().visit(ast.parse(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [one for one in node.body if not packing._is_text_alone(one)] or [
                ast.Expr(ast.Constant(""))
            ]
    return ast.fix_missing_locations(tree)


def test_local_names_are_short_where_nothing_else_can_mean_them() -> None:
    source = (
        "import os\nfound=1\n"
        "def f(path,*,known=()):\n"
        " names=[name for name in os.listdir(path) if name not in known]\n"
        " try:\n  input=len(names)\n except OSError as error:\n  raise ValueError(error)\n"
        " def inner(name=None):\n  nonlocal names\n  names=found\n"
        " total=sum(size for size in names)\n"
        " return total,names,input\n"
    )

    assert shorten(source) == source.replace("total", "a").replace("size", "b")


class Plain(ast.NodeTransformer):
    """Takes annotations out of a syntax tree, and what only they need."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        is_for_annotations = node.module in {"typing", JSON_OBJECTS}
        return None if is_for_annotations else node

    def visit_If(self, node: ast.If) -> ast.If | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        self.generic_visit(node)
        return node


@pytest.mark.slow
def test_packed_modules_have_no_annotations_and_do_without_typing(hook: str) -> None:
    """They would cost each job the time to compile them, and to load `typing`."""
    for name, source in sources_in(hook).items():
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        assert not names & {name for name in typing.__all__ if name[0].isupper()}, name
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.AnnAssign), name
            assert getattr(node, "annotation", None) is None, name
            assert getattr(node, "returns", None) is None, name


def test_annotation_that_would_break_its_line_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 goes over several lines"):
        packing.bare("x = 1\ndef f() -> Dict[\n    str, int\n]:\n    return {}\n")


def test_broken_hook_runs_the_command_alone(hook: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pyz"
    with zipfile.ZipFile(hook) as archive:
        few = {name: archive.read(name) for name in packing._STORED}
    top = "jobprov/provenance/capture/"
    few |= {f"{top}running/__init__.py": b"", f"{top}running/execution.py": b"began = []\n"}
    few[f"{top}commands.py"] = b"raise SyntaxError('as an older Python does')\n"
    broken.write_bytes(packing.packed(few))

    done = subprocess.run(
        [sys.executable, str(broken), "run", "--", "sh", "-c", "echo alone; exit 9"],
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (9, b"alone\n")
    assert b"not recorded: SyntaxError" in done.stderr


def test_command_runs_alone_where_python_has_no_zlib(hook: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['zlib'] = None\n")

    done = subprocess.run(
        [sys.executable, hook, "run", "--", "sh", "-c", "echo alone; exit 9"],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
    )

    assert (done.returncode, done.stdout) == (9, b"alone\n")
    assert b"not recorded: ZipImportError" in done.stderr
