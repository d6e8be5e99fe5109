"""Templates of pages, compiled once in a run of tests, whichever application shows them first.

All of them take a second of CPU, and each application of the tests and each service compiled its
own.
"""

import atexit
import os
import shutil
import tempfile

from flask import Flask
from jinja2 import FileSystemBytecodeCache

_FOLDER = "JOBPROV_TESTS_TEMPLATES"


def compile_templates_once() -> None:
    """Have the applications of this run of tests share what they compile."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="jobprov-templates-")
        atexit.register(shutil.rmtree, os.environ[_FOLDER], ignore_errors=True)
    take_compiled_templates()


def take_compiled_templates() -> None:
    """Have the applications of this process take what others of the run have compiled."""
    if _FOLDER in os.environ:
        cache = FileSystemBytecodeCache(os.environ[_FOLDER])
        Flask.jinja_options = {"bytecode_cache": cache}
