"""Runs the command line as `python -m jobprov`, for where the script is not on PATH."""

from jobprov.app.start import main

if __name__ == "__main__":
    main()
