"""The codes of gaps: the closure level that each stops, and how to close it.

docs/reference/gaps.md says what each means.
"""

from typing import NamedTuple

Message = tuple[str, str]
"""Code of a gap, and a sentence about one record."""


class GapRule(NamedTuple):
    """What one code of gaps means for a job.

    Attributes:
        level: the closure level that it stops; 9 if it stops none.
        how_to_close: in a sentence.
    """

    level: int
    how_to_close: str


GAPS: dict[str, GapRule] = {
    "command-missing": GapRule(
        1,
        "Run the job under the hook (`job-end-hook.pyz run -- COMMAND`), or send `command.argv`.",
    ),
    "environment-missing": GapRule(
        1,
        "Send `environment.variables`; the hook does, with secrets withheld.",
    ),
    "fcl-missing": GapRule(
        1,
        "Upload the fcl file: PUT /api/v1/blobs/{sha256}, or flush the hook's spool.",
    ),
    "script-missing": GapRule(
        1,
        "Upload the script: PUT /api/v1/blobs/{sha256}, or flush the hook's spool.",
    ),
    "software-missing": GapRule(
        1,
        "Name the repository of the job's code: `--repository PATH` of the hook.",
    ),
    "software-unresolved": GapRule(
        1,
        "Have an operator register the repository (`jobprov repository add`), "
        "and push the commit or tag to it.",
    ),
    "software-ambiguous": GapRule(
        1,
        "Have the record say the commit (the hook does: `--repository PATH`), or send a "
        "revision of the record with `revision`.",
    ),
    "software-installed": GapRule(
        3,
        "Register a capsule of the release (`jobprov capsule add`), or name the "
        "repository of the product in `software`.",
    ),
    "no-configuration": GapRule(
        1,
        "Run the program under the hook, where its fcl file can be read, "
        "or name the file: `--config FILE`.",
    ),
    "code-unknown": GapRule(
        1,
        "Build the program in a git checkout and name that (`--repository PATH`), "
        "or name the program itself (`--script PATH`).",
    ),
    "secret-removed": GapRule(
        1,
        "Keep secrets out of what runs: read them from a variable or a file at the moment "
        "that they are needed.",
    ),
    "capture-incomplete": GapRule(
        1,
        "Read why in the message, mend that for the next job, and name what was not recorded: "
        "`--repository`, `--script`, `--config`, `--input`.",
    ),
    "changed-while-running": GapRule(
        2,
        "Have each job work on a copy of its own, and change no file that a running job reads.",
    ),
    "withheld-variable-read": GapRule(
        2,
        "Set the variable again for the rerun; if it is not a secret, give it a name that no rule "
        "takes for one, or name it by `--keep-variable`.",
    ),
    "children-unseen": GapRule(
        2,
        "Read why in the message; what was not seen can be told: "
        "`--input`, `--output`, `--config`, `--script`.",
    ),
    "submodule-missing": GapRule(
        1,
        "Have an operator register the submodule's repository before the next job of the "
        "release (`jobprov repository add`).",
    ),
    "dirty-tree-missing": GapRule(
        1,
        "Upload the objects of the changed files (`objects_sha256`), "
        "or commit and push before the next job.",
    ),
    "untracked-left-out": GapRule(
        1,
        "Commit and push the files, or make them smaller; what the job reads as data can be "
        "told: `--input`.",
    ),
    "ignored-left-out": GapRule(
        9,
        "Nothing to do if the job did not read them; else tell them (`--input`, `--script`), or "
        "trace a job (`--trace`).",
    ),
    "touched-not-kept": GapRule(
        2,
        "Name the file (`--input`, `--script`), put its code into a repository, raise "
        "`--trace-bytes`, or register a capsule of the release (`jobprov capsule add`).",
    ),
    "reads-unseen": GapRule(
        2,
        "Trace one job of the kind, wherever strace is (`--trace`), or have the recipe rerun "
        "(`jobprov prove`): if that passes, this gap goes.",
    ),
    "network-used": GapRule(
        2,
        "Fetch what the job needs before it, and name it: `--input FILE`.",
    ),
    "rerun-failed": GapRule(
        2,
        "Send what is missing, or register a capsule of the release (`jobprov capsule add`): "
        "the recipe is rerun then (`jobprov prove`).",
    ),
    "input-missing": GapRule(
        2,
        "Upload the small input: the hook does up to 16 MiB a file, "
        "also of standard input (`< FILE`). If its spool still holds it, flush that.",
    ),
    "input-without-checksum": GapRule(
        2,
        "Send `checksums` or `sha256` of the input; the hook hashes what it can read.",
    ),
    "conditions-missing": GapRule(
        2,
        "Send `payload_sha256` of each conditions database, and upload the payload.",
    ),
    "input-checksum-short": GapRule(
        4,
        "Send `sha256` of the input; the hook hashes what it can read. Short checksums "
        "tell damage, not one file from another.",
    ),
    "image-without-digest": GapRule(3, "Name the container image by digest, not only by tag."),
    "conditions-untagged": GapRule(
        9,
        "Send the tag of each conditions database: it says which constants were meant.",
    ),
    "configuration-unevaluated": GapRule(
        9,
        "Open the job's configuration page: it names file and line; send the file that is missing, "
        "or mend the fcl.",
    ),
    "configuration-too-large": GapRule(
        9,
        "The message names the limit. Such a text grows by references to itself: look for tables "
        "or sequences that hold another one several times.",
    ),
    "configuration-differs": GapRule(
        9,
        "Compare the configuration as run with the files sent: "
        "one of them is not what the program read.",
    ),
    "configuration-differs-in-file": GapRule(
        9,
        "Compare what the file stores (`jobprov art FILE.root --fcl`) with the job's "
        "configuration page: one is another job's.",
    ),
    "commit-unreferenced": GapRule(
        9,
        "Nothing is lost here, the commit's objects are kept. Put a tag on it, so that "
        "others find it and its server keeps it.",
    ),
    "outputs-missing": GapRule(
        9,
        "Name the outputs (`--output`), or the folder in which they appear (`--watch`), "
        "so that a rerun can be compared.",
    ),
    "output-not-there": GapRule(
        9,
        "Look in the log for why the file was not made; "
        "if it lies elsewhere, name that folder: `--watch FOLDER`.",
    ),
    "output-without-checksum": GapRule(
        9,
        "Send `sha256` or `checksums` of the output, so that a rerun can be compared.",
    ),
    "seed-unknown": GapRule(
        9, "Send `seeds`: `--seed` of the hook, or have the program print them."
    ),
    "threads-unseeded": GapRule(
        9,
        "Run with one thread, or seed each event, so that the order of threads cannot matter.",
    ),
    "random-unseeded": GapRule(
        9,
        "Give the program a seed, and record it: `--seed` of the hook.",
    ),
    "run-specific": GapRule(
        9,
        "Write times and hosts to the log, not into the output; or compare with a comparator "
        "that leaves them out (`jobprov comparators set`).",
    ),
    "limit-not-restored": GapRule(
        9, "Set the limit by hand before run.sh, should the rerun differ: `ulimit`."
    ),
    "terminal-used": GapRule(
        9, "Nothing to do unless the job asked something there; give it a file: `< FILE`."
    ),
    "bytes-as-text": GapRule(
        9, "Nothing to do unless the job depends on it; name files and folders in UTF-8."
    ),
    "log-missing": GapRule(
        9,
        "Send the logs; the hook keeps stdout and stderr. If its spool still holds them, flush "
        "that.",
    ),
    "log-expired": GapRule(
        9,
        "Nothing to do: the operator lets old logs of jobs that succeeded expire. "
        "A failing job's stay.",
    ),
    "source-erased": GapRule(
        1,
        "Nothing can: an operator erased it, and says why in the ledger. "
        "Run the next job without it.",
    ),
    "input-erased": GapRule(
        2,
        "Nothing can: an operator erased it, and says why in the ledger. "
        "Run the next job without it.",
    ),
    "blob-erased": GapRule(
        9,
        "Nothing can: an operator erased it, and says why in the ledger. Nothing is to be sent.",
    ),
    "blob-missing": GapRule(
        9, "Upload the blob: PUT /api/v1/blobs/{sha256}, or flush the hook's spool."
    ),
    "task-missing": GapRule(9, "Give the task id: `--task-id` of the hook, or POMS_TASK_ID."),
    "exit-missing": GapRule(
        9, "Send `exit.code` or `exit.signal`; the batch history knows it too."
    ),
    "event-count-mismatch": GapRule(9, "Check the counts, or declare that the stage filters."),
    "parents-unknown": GapRule(
        9,
        "Send a revision whose outputs name the few inputs that each was made from (`parents`).",
    ),
    "value-out-of-range": GapRule(
        9,
        "Mend the program that wrote the number; it was kept as sent, but not indexed.",
    ),
    "unknown-word": GapRule(
        9, "Nothing to do if the hook is newer than the service; else mend the word."
    ),
    "witness-contradiction": GapRule(9, "Look at the job page: witnesses say different things."),
    "clock-ahead": GapRule(
        9,
        "Have the site set the clock of that node: until it is right, its jobs end later than they "
        "did, in lists and sums by time.",
    ),
}
