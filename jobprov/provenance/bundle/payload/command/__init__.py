"""The command in a bundle (`command/`): steps that run.sh replays, their programs, folders."""
