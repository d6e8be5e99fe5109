"""Where the checkout of a folder begins, found without starting git: a job waits for it."""

import os
from typing import Dict, Optional


def find_checkout(folder: str, known: Dict[str, Optional[str]]) -> Optional[str]:
    """Return the nearest folder above that holds `.git`, without starting git, or None.

    `known` remembers answers.
    """
    if folder not in known:
        parent = os.path.dirname(folder)
        if os.path.exists(os.path.join(folder, ".git")):
            known[folder] = folder
        elif parent == folder:
            known[folder] = None
        else:
            known[folder] = find_checkout(parent, known)
    return known[folder]
