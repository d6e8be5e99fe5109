"""Settings: one table, read and checked once."""

from pathlib import Path

import pytest

from jobprov.app import config
from jobprov.app.config import SETTINGS, Settings, load_settings
from jobprov.provenance.errors import BadInputError


def test_defaults_lie_in_the_data_folder() -> None:
    settings = load_settings({"JOBPROV_DATA": "/srv/jobprov"}, {})

    assert settings.database_url == "sqlite:////srv/jobprov/jobprov.db"
    assert settings.archive_url == "file:/srv/jobprov/archive"
    assert settings.git_mirrors == Path("/srv/jobprov/git")
    assert settings.port == 8095


def test_given_values_go_before_the_environment() -> None:
    assert (
        load_settings({"JOBPROV_PORT": "1"}, {"JOBPROV_PORT": "2", "JOBPROV_HOST": "::1"}).port == 1
    )
    assert load_settings({}, {"JOBPROV_PORT": "2"}).port == 2


def test_empty_variable_is_as_good_as_none() -> None:
    assert load_settings({}, {"JOBPROV_PORT": ""}).port == 8095


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOBPROV_PORT", "http"),
        ("JOBPROV_PORT", "70000"),
        ("JOBPROV_PORT", "٣"),
        ("JOBPROV_WORKERS", "0"),
        ("JOBPROV_READING", "some"),
        ("JOBPROV_PRIVATE_EXPERIMENTS", "dune; sbnd"),
        ("JOBPROV_NONSENSE", "1"),
    ],
)
def test_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(BadInputError) as caught:
        load_settings({name: value}, {})

    assert name in caught.value.fields


def test_each_setting_has_its_field_and_its_words() -> None:
    fields = set(Settings.__dataclass_fields__)

    assert {setting.name.removeprefix("JOBPROV_").lower() for setting in SETTINGS} == fields
    assert all(setting.help for setting in SETTINGS)


def test_session_key_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    settings = load_settings({"JOBPROV_DATA": str(tmp_path / "var")}, {})

    key = settings.session_key()

    assert len(key) >= 43
    assert settings.session_key() == key
    assert (tmp_path / "var" / "secret-key").stat().st_mode & 0o777 == 0o600


def test_no_worker_reads_a_session_key_that_another_is_making(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"JOBPROV_DATA": str(tmp_path / "var")}, {})
    seen: list[str] = []
    make = config.secrets.token_urlsafe

    def make_while_another_starts(length: int) -> str:
        if not seen:
            seen.append("")
            seen[0] = settings.session_key()
        return make(length)

    monkeypatch.setattr(config.secrets, "token_urlsafe", make_while_another_starts)

    key = settings.session_key()

    assert len(key) > 40
    assert seen == [key]
    assert [file.name for file in (tmp_path / "var").iterdir()] == ["secret-key"]


def test_private_experiments_are_names_separated_by_commas() -> None:
    settings = load_settings({"JOBPROV_PRIVATE_EXPERIMENTS": "dune, sbn-d,"}, {})

    assert settings.private_experiments == {"dune", "sbn-d"}


@pytest.mark.parametrize("name", ["dune.nd", "-dune", "d" * 65])
def test_private_experiment_that_no_record_can_name_is_refused(name: str) -> None:
    with pytest.raises(BadInputError, match=f"PRIVATE_EXPERIMENTS: '{name}' cannot be the name"):
        load_settings({"JOBPROV_PRIVATE_EXPERIMENTS": f"sbnd, {name}"}, {})
