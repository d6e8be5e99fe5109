"""What begins with a text lies between it and the first text beyond.

That is so whatever its last character.
"""

import pytest

from jobprov.provenance.db.queries.fragments.patterns import first_beyond
from jobprov.provenance.db.queries.lookup.files.by_name import nearest_names
from tests.library.production import Production
from tests.library.records import a_record, file_entry

LAST, BEFORE_SURROGATES = "\U0010ffff", "\ud7ff"


@pytest.mark.parametrize(
    ("text", "beyond"),
    [
        ("ab", "ac"),
        (f"a{BEFORE_SURROGATES}", "a\ue000"),
        (f"a{LAST}", "b"),
        (f"a{LAST}{LAST}", "b"),
        (LAST, None),
        ("", None),
    ],
)
def test_the_first_text_beyond_is_one_that_a_database_keeps(text: str, beyond: str | None) -> None:
    assert first_beyond(text) == beyond


def test_names_like_one_are_found_whatever_its_last_character(production: Production) -> None:
    names = [f"abc{LAST}{LAST}", f"abc{LAST}z", f"abc{BEFORE_SURROGATES}z", "abd"]
    production.record(a_record(1, outputs=[file_entry(name) for name in names]))

    with production.database.reading.connect() as connection:
        assert nearest_names(connection, f"abc{LAST}") == [f"abc{LAST}z", f"abc{LAST}{LAST}"]
        assert nearest_names(connection, f"abc{BEFORE_SURROGATES}") == [f"abc{BEFORE_SURROGATES}z"]
        assert nearest_names(connection, LAST * 4) == []
