"""The scripts of a bundle, one folder a specification version; a released folder is never edited."""

from importlib.resources import files

from provenance.bundle.fields import text
from provenance.bundle.payload import Payload

_SCRIPTS = {"run.sh": 0o755, "verify.sh": 0o755, "lib.sh": 0o644}


def add_templates(payload: Payload, *, spec_version: int, level: int) -> None:
    """Write run.sh, verify.sh, lib.sh, verify.py and README.txt."""
    folder = files(__name__) / str(spec_version)
    for name, mode in _SCRIPTS.items():
        payload.write(name, (folder / name).read_bytes(), mode=mode)
    payload.write("verify.py", (files("provenance.bundle") / "comparison.py").read_bytes())
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    words = {
        "@JOB@": text(payload.record.get("job_id")),
        "@EXPERIMENT@": text(payload.record.get("experiment")),
        "@STATE@": text(payload.record.get("state")),
        "@LEVEL@": f"L{level}",
    }
    for word, value in words.items():
        readme = readme.replace(word, value)
    payload.write("README.txt", readme.encode("utf-8", "replace"))
