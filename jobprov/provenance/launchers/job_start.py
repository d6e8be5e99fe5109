"""The start script of jobs: a shell script that runs a command under the hook, or alone.

Without python3, with one older than the hook takes, or with a hook file that came only in part, the
hook itself cannot even say that it does not run. The payload must run all the same.
"""

NAME = "job-start.sh"
JOB_START = """\
#!/bin/sh
# Runs a command under jobprov's hook, or alone where the hook cannot run:
#     sh job-start.sh [OPTION OF THE HOOK...] -- COMMAND [ARGUMENT...]
# The hook lies beside this file, where jobsub puts a job's files, or where JOBPROV_HOOK says.
case $0 in */*) hook=${0%/*}/job-end-hook.pyz ;; *) hook=./job-end-hook.pyz ;; esac
[ -f "$hook" ] || hook=${CONDOR_DIR_INPUT:-.}/job-end-hook.pyz
hook=${JOBPROV_HOOK:-$hook}
# jobsub_submit takes away the -- that follows its executable
case ${1:---} in -*) ;; *) set -- -- "$@" ;; esac
# an empty file would be a Python program too, so the version has to be printed
if [ -n "$(python3 "$hook" --version 2>/dev/null)" ]; then
    exec python3 "$hook" run "$@"
fi
echo "jobprov: not recorded: $hook does not run here, so the command runs alone" >&2
for word in "$@"; do
    if [ "$word" = -- ]; then
        while [ "$1" != -- ]; do shift; done
        shift
        break
    fi
done
exec "$@"
"""
