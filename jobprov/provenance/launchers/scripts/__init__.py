"""Programs that go with launched jobs to where they run."""

from importlib.resources import files

_FILES_MARK = "@retry_files.py@\n"


def retry_script() -> str:
    """Return `retry-job.sh`, which runs a recorded job again from its bundle, under the hook.

    It carries `retry_files.py` with it, so that one file is all that has to be transferred.
    """
    folder = files(__name__)
    script = folder.joinpath("retry-job.sh").read_text(encoding="utf-8")
    module = folder.joinpath("retry_files.py").read_text(encoding="utf-8")
    return script.replace(_FILES_MARK, module)
