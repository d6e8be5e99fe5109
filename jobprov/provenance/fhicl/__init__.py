"""FHiCL: reads, includes, evaluates, prints and compares configurations as the reference does.

The *reference* is the C++ implementation that art uses (fhicl-cpp and cetlib).
"""

from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.diff import Change, Difference, diff
from jobprov.provenance.fhicl.errors import FhiclError, Inclusion
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.loading import (
    default_search_path,
    expand,
    expand_from,
    load,
    load_files,
    load_from,
    loads,
)
from jobprov.provenance.fhicl.positions import Origin
from jobprov.provenance.fhicl.reading.includer import SourceFile
from jobprov.provenance.fhicl.reading.lookup import FileSource, FoundFile
from jobprov.provenance.fhicl.tree import Parameter

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
    "default_search_path",
    "diff",
    "expand",
    "expand_from",
    "load",
    "load_files",
    "load_from",
    "loads",
]
