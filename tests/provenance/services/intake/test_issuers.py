"""The file of issuers: what is wrong with one is said by table and field."""

from pathlib import Path

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.intake.issuers import read_issuers
from tests.library.servers.token_issuer import issuers_file, table

URL = "https://cilogon.org/nova"


def test_no_file_names_no_issuer() -> None:
    assert read_issuers(None) == []


def test_experiment_may_have_several_issuers_and_one_table_needs_no_double_brackets(
    tmp_path: Path,
) -> None:
    single = table("https://a.example.org", "mu2e").replace("[[mu2e]]", "[mu2e]")
    issuers = read_issuers(
        issuers_file(tmp_path, table(URL), table("https://iam.example.org"), single)
    )

    named = [(one.experiment, one.issuer.issuer) for one in issuers]
    assert named == [
        ("nova", URL),
        ("nova", "https://iam.example.org"),
        ("mu2e", "https://a.example.org"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no issuer"),
        ("[[nova]\n", "issuers.toml"),
        ("nova = 1\n", "[[nova]]: this is no table"),
        (table("http://cilogon.org/nova"), "issuer is 'http://cilogon.org/nova'"),
        (table("cilogon.org"), "an https address"),
        (table(URL).replace("audience =", 'jwks = "http://x.example.org"\naudience ='), "jwks is"),
        (table(URL).replace('"record"', '"write"'), "allow[0].may[0]"),
        (table(URL).replace("[[nova.allow]]", "[[nova.allows]]"), "allow"),
        (table(URL).replace("scope =", "scopes ="), "scopes"),
        (table(URL).replace('scope = "compute.create"\n', ""), "names no scope, group or subject"),
        (table(URL).replace('"record", "read"', ""), "allow[0].may"),
        (table(URL) + table(URL), "names https://cilogon.org/nova twice"),
        (
            table(URL) + table(URL, "mu2e").replace("audience", 'ca = "x.pem"\naudience'),
            "not the same",
        ),
        (table(URL, '"a b"'), "experiment"),
    ],
)
def test_wrong_file_is_refused_with_the_field(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_issuers(issuers_file(tmp_path, text))

    assert words in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BadInputError, match=r"/nothing\.toml cannot be read: No such file or directory\.$"
    ):
        read_issuers(tmp_path / "nothing.toml")
