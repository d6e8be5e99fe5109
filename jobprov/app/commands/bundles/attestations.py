"""`jobprov attest`: sign a bundle, or check a signature."""

from pathlib import Path

import click

from jobprov.app.commands.terminal.opening import emit, json_option
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.bundles import attestations as attesting

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("tar", type=_FILE, required=False)
@click.option("--key", type=_FILE, help="Private Ed25519 key (PEM) to sign with.")
@click.option("--check", "is_check", is_flag=True, help="Check the attestation of TAR instead.")
@click.option("--public-key", type=_FILE, help="With --check: the public key (PEM).")
@click.option("--envelope", type=_FILE, help="Where the attestation is; TAR.dsse.json by default.")
@click.option("--new-key", type=_FILE, help="Make a key pair: this file, and this file with .pub.")
@json_option
def attest(
    *,
    tar: Path | None,
    key: Path | None,
    is_check: bool,
    public_key: Path | None,
    envelope: Path | None,
    new_key: Path | None,
    as_json: bool,
) -> None:
    """Attest that the bundle TAR is what was recorded.

    A detached DSSE signature over its in-toto statement and its digest.

    With --check: exit code 0 where the attestation holds, 1 where it does not.
    """
    if new_key is not None:
        keyid = attesting.make_key(new_key)
        text = f"Key {keyid} is in {new_key}; give {new_key}.pub away."
        emit({"keyid": keyid}, text, as_json=as_json)
        return
    used_key, option = (public_key, "--public-key") if is_check else (key, "--key")
    if tar is None or used_key is None:
        raise BadInputError(
            f"Name a bundle and {option} FILE, or make a key with --new-key FILE.",
            {"key": ["missing"]},
        )
    beside = envelope or tar.with_name(tar.name + attesting.SUFFIX)
    if is_check:
        attestation = attesting.check_attestation(tar, beside, used_key)
        text = f"{beside} holds: {tar} is attested with key {attestation.keyid}."
        emit(attestation._asdict(), text, as_json=as_json)
        return
    beside.write_bytes(attesting.attest(tar, used_key))
    emit({"envelope": str(beside)}, f"{beside} attests {tar}.", as_json=as_json)


COMMANDS = {"attest": attest}
EXAMPLES = {
    "attest": (
        "jobprov attest --new-key operator.pem",
        "jobprov attest reco-4.tar --key operator.pem",
        "jobprov attest reco-4.tar --check --public-key operator.pub",
    ),
}
