"""Statements that write what jobs do not: one module for each room of `provenance/services`."""
