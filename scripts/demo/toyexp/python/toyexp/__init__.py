"""A toy event-processing program: an fcl file says which modules run over which events."""

VERSION = "v1_02_00"
