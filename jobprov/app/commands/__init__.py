"""The commands of `jobprov`, one file a group.

Each file maps the names of its commands in `COMMANDS`.
"""
