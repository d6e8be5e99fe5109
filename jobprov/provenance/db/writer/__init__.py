"""The one writer of a process: its queue, its transactions, their keys, and turns with others."""
