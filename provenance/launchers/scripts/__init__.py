"""Programs that go with launched jobs to where they run."""

from importlib.resources import files


def retry_script() -> str:
    """Return `retry-job.sh`, which runs a recorded job again from its bundle, under the hook."""
    return files(__name__).joinpath("retry-job.sh").read_text(encoding="utf-8")
