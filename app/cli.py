"""The jobprov command."""


def main() -> None:
    """Run the command line."""
