"""Seeds and threads of a job, as options and metadata declare them."""

from typing import Optional, Sequence

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import JsonObject


def take_settings(
    draft: Draft, options: Options, metadata: JsonObject, step: Optional[str]
) -> None:
    """Move `seed` and `threads` out of the metadata into fields of their own.

    --seed and --threads go there too.
    """
    keys = [key for key in metadata if key == "seed" or key.startswith("seed.")]
    seeds = ["{}={}".format(key[len("seed.") :], metadata.pop(key)) for key in keys]
    _add_seeds(draft, options.seed + seeds, step)
    threads = metadata.pop("threads", None) or options.threads
    if threads and str(threads).isdigit():
        draft.record["threads"] = int(threads)


def _add_seeds(draft: Draft, seeds: Sequence[str], step: Optional[str]) -> None:
    """Add seeds as `MODULE=NUMBER` or a number alone, but for those that are there already."""
    recorded = list(draft.record.get("seeds", ()))
    for declared in seeds:
        module, _, seed = declared.rpartition("=")
        if seed.isdigit():
            fields = {
                "step": step,
                "module": module or None,
                "seed": int(seed),
                "source": "declared",
            }
            entry = without_empty(fields)
            if entry not in recorded:
                draft.extend("seeds", [entry])
