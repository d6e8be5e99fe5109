"""Properties that hold for every document."""

import string
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobprov.provenance import fhicl
from jobprov.provenance.fhicl.errors import FragmentError
from jobprov.provenance.fhicl.identity import canonical_form
from jobprov.provenance.fhicl.limits import DEFAULT_LIMITS
from jobprov.provenance.fhicl.loading import forget_sources
from jobprov.provenance.fhicl.reading.evaluator import _evaluate_joined, _evaluate_segments
from jobprov.provenance.fhicl.values import TableBody
from tests.library.examples import examples


def quoted(text: str) -> str:
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    )
    return f'"{escaped}"' if not text.endswith("\\") else f'"{escaped} "'


names = st.text(string.ascii_letters + "_", min_size=1, max_size=3)
texts = st.text(
    string.printable.replace("\r", "").replace("\x0b", "").replace("\x0c", ""), max_size=12
)
numbers = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.integers(0).map(hex),
)
atoms = st.one_of(
    numbers,
    st.sampled_from(["@nil", "true", "false", "infinity", "-infinity", "(1,-2.5)", "word"]),
    texts.map(quoted),
)
values: st.SearchStrategy[Any] = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=25,
)
documents = st.dictionaries(names, values, max_size=5)
# words that mean something to the grammar, so that their random rows reach far into it
GRAMMAR = """: : :{ } :[ ] , 1 0x1F "s" 't' @nil @local::a @table::b @sequence::c @erase @protect_ignore: @protect_error:
BEGIN_PROLOG END_PROLOG (1,2) true infinity " @id:: a b c a.b c[1]"""
words = st.sampled_from([*GRAMMAR.split(), ": 1 ", " ", " ", "\n", "# c\n"])
soups = st.lists(words, max_size=30).map("".join)


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + " ".join(f"{name}: {written(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[ " + ", ".join(map(written, value)) + " ]"
    return str(value)


def document_of(members: dict[str, Any]) -> str:
    return "".join(f"{name}: {written(value)}\n" for name, value in members.items())


@pytest.mark.slow
@given(documents)
def test_printed_configuration_reads_back_to_the_same_id(members: dict[str, Any]) -> None:
    """Except strings that end in a backslash, which the grammar cannot read again.

    Annotated forms misplace commas in nested sequences.
    """
    configuration = fhicl.loads(document_of(members))

    again = [configuration.to_string(), configuration.to_indented_string()]

    assert {fhicl.loads(text).parameter_set_id for text in again} == {
        configuration.parameter_set_id
    }


@pytest.mark.slow
@given(documents)
def test_parameters_lead_back_to_their_values(members: dict[str, Any]) -> None:
    configuration = fhicl.loads(document_of(members))

    for parameter in configuration.parameters():
        assert configuration.canonical_value(parameter.path) == parameter.canonical
        assert configuration.origin(parameter.path) == parameter.origin


@pytest.mark.slow
@given(documents, documents)
def test_difference_is_empty_exactly_between_equal_sets(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = fhicl.loads(document_of(first)), fhicl.loads(document_of(second))

    assert not fhicl.diff(one, one)
    assert bool(fhicl.diff(one, other)) == (one.parameter_set_id != other.parameter_set_id)


@pytest.mark.slow
@given(documents, st.data())
@settings(max_examples=examples(60), deadline=None)
def test_cutting_a_document_into_included_files_changes_nothing(
    members: dict[str, Any], data: st.DataObject
) -> None:
    indented = fhicl.loads(document_of(members)).to_indented_string()
    lines = indented.splitlines(keepends=True)
    first = data.draw(st.integers(0, len(lines)))
    last = data.draw(st.integers(first, len(lines)))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "cut.fcl").write_text("".join(lines[first:last]))
        Path(folder, "main.fcl").write_text(
            "".join([*lines[:first], '#include "cut.fcl"\n', *lines[last:]])
        )

        cut = fhicl.load(Path(folder, "main.fcl"), [folder])

    assert cut.expanded == indented.encode()
    assert cut.to_string() == fhicl.loads(indented).to_string()


def outcome(read: Any) -> tuple[str, ...]:
    try:
        return ("ok", read())
    except fhicl.FhiclError as error:
        return (error.kind, error.file, str(error.line), str(error.column))


@pytest.mark.slow
@given(soups)
@settings(max_examples=examples(400), deadline=None)
def test_any_text_is_a_configuration_or_an_error_with_a_place(soup: str) -> None:
    result = outcome(lambda: fhicl.loads(soup).parameter_set_id)

    assert result[0] in ("ok", "unknown_parameter_set") or int(result[2]) >= 1


@pytest.mark.slow
@given(soups, soups)
@settings(max_examples=examples(400), deadline=None)
def test_reading_by_segments_and_as_one_text_agree(first: str, second: str) -> None:
    """A segment that stands alone is parsed once for all documents.

    It must mean what it means inside the whole text.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "x.fcl").write_text(first)
        Path(folder, "main.fcl").write_text(f'a: {{b: 1}} c: [1,[2]]\n#include "x.fcl"\n{second}')
        forget_sources()
        expansion = fhicl.expand(Path(folder, "main.fcl"), [folder])

        def canonical(evaluate: Any) -> str:
            return canonical_form(TableBody(evaluate(expansion, DEFAULT_LIMITS)), DEFAULT_LIMITS)

        whole = outcome(lambda: canonical(_evaluate_joined))
        try:
            by_segments = outcome(lambda: canonical(_evaluate_segments))
        except FragmentError:
            return

    assert by_segments == whole
