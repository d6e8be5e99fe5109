"""Spellings of one repository match; others do not; secrets go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.names import checked_oid, is_ref_name
from jobprov.provenance.software.urls import (
    is_private_address,
    match_key,
    parse_url,
    public_address,
    without_credentials,
)

SAME = [
    "https://git.example.org/nova/soft.git",
    "https://git.example.org/nova/soft",
    "https://git.example.org/nova/soft/",
    "https://git.example.org/nova/soft.git/",
    "https://user:token@GIT.example.org:443/nova/soft.git",
    "https://git.example.org/nova//soft?x=1#y",
    "git@git.example.org:nova/soft.git",
    "git.example.org:nova/soft",
    "git@git.example.org:/nova/soft.git",
    "ssh://git@git.example.org/nova/soft.git",
    "ssh://git@git.example.org:22/nova/soft.git",
    "git+https://git.example.org/nova/soft.git",
    "git://git.example.org/nova/soft.git",
]


@pytest.mark.parametrize("url", SAME)
def test_spellings_of_one_repository_match(url: str) -> None:
    assert match_key(url) == "git.example.org/nova/soft"


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/nova/soft2.git",
        "https://git.example.org:8443/nova/soft.git",
        "https://example.org/nova/soft.git",
        "https://git.example.org/Nova/soft.git",
        "/nova/soft.git",
        "nonsense",
    ],
)
def test_other_repositories_do_not_match(url: str) -> None:
    assert match_key(url) != match_key(SAME[0])


def test_local_paths_match_by_their_path() -> None:
    keys = {
        match_key(url)
        for url in ("/srv/git/x.git", "/srv/git/x", "/srv/git/../git/x/", "file:///srv/git/x.git")
    }

    assert keys == {"file:/srv/git/x"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:pw@host/x.git", "https://host/x.git"),
        ("https://ghp_token@host:8443/x.git?private_token=t", "https://host:8443/x.git"),
        ("ssh://git:pw@host/x.git", "ssh://git@host/x.git"),
        ("git@host:nova/x.git", "ssh://git@host/nova/x.git"),
        ("https://ada:p w@host/x", "https://host/x"),
        ("svn+ssh://ada:pw@host/x", "svn+ssh://host/x"),
        ("/srv/x.git", "/srv/x.git"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    ],
)
def test_credentials_are_stripped(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@given(st.text(max_size=60))
def test_any_text_has_a_key_and_a_public_form(text: str) -> None:
    assert isinstance(match_key(text), str)
    assert isinstance(without_credentials(text), str)


@given(st.sampled_from(SAME))
def test_public_form_reads_back_to_the_same_key(url: str) -> None:
    assert parse_url(parse_url(url).public).key == parse_url(url).key


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "fd00::1",
     "::ffff:10.0.0.1", "0.0.0.1", "100.64.0.1", "224.0.0.1", "2002:7f00:1::", "64:ff9b::10.0.0.1", "::10.0.0.1"],
)  # fmt: skip
def test_private_addresses_are_known(address: str) -> None:
    assert is_private_address(address)


@pytest.mark.parametrize("address", ["131.225.0.1", "2001:1458:d00::1"])
def test_public_addresses_are_known(address: str) -> None:
    assert not is_private_address(address)


def test_unknown_host_is_an_error_that_names_it() -> None:
    with pytest.raises(SoftwareError, match=r"nowhere\.invalid"):
        public_address(parse_url("https://nowhere.invalid/x"))


def test_only_trusted_private_hosts_are_let_through() -> None:
    url = parse_url("https://127.0.0.1/x")

    assert public_address(url, trusted_hosts=["127.0.0.1"]) == "127.0.0.1"
    with pytest.raises(SoftwareError, match="TRUSTED_GIT_HOSTS"):
        public_address(url, trusted_hosts=["127.0.0.2"])


@pytest.mark.parametrize(
    "name", ["v1", "release/2024.1", "refs/tags/v1", "S24-01-01", "näme", "a.b", "v1@x"]
)
def test_good_ref_names_are_taken(name: str) -> None:
    assert is_ref_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "@", "-x", "/x", "x/", "x//y", ".x", "x/.y", "x.lock", "x.lock/y", "x..y", "x y", "x~1", "x^", "x:y", "x?",
     "x*", "x[", "x\\y", "x@{1}", "x.", "x\n", "\x7f", "\udc80", "x" * 1001],
)  # fmt: skip
def test_bad_ref_names_are_refused(name: str) -> None:
    assert not is_ref_name(name)


def test_short_ids_are_not_full_ones() -> None:
    assert checked_oid("a" * 40) == "a" * 40
    for text, match in (
        ("A" * 40, "40"),
        ("a" * 39, "40"),
        ("a" * 64, "SHA-256"),
        ("a" * 40 + "\n", "40"),
    ):
        with pytest.raises(SoftwareError, match=match):
            checked_oid(text)
