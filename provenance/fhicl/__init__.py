"""FHiCL: read, include, evaluate, print and compare configurations as the reference implementation does."""

from provenance.fhicl.configuration import Configuration
from provenance.fhicl.diff import Change, Difference, diff
from provenance.fhicl.errors import FhiclError, Inclusion
from provenance.fhicl.includer import SourceFile
from provenance.fhicl.limits import Limits
from provenance.fhicl.loading import expand, expand_from, load, load_files, load_from, loads
from provenance.fhicl.lookup import FileSource, FoundFile
from provenance.fhicl.positions import Origin
from provenance.fhicl.tree import Parameter

__all__ = [
    "Change",
    "Configuration",
    "Difference",
    "FhiclError",
    "FileSource",
    "FoundFile",
    "Inclusion",
    "Limits",
    "Origin",
    "Parameter",
    "SourceFile",
    "diff",
    "expand",
    "expand_from",
    "load",
    "load_files",
    "load_from",
    "loads",
]
