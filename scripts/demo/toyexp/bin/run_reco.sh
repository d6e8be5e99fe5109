#!/bin/sh
# The reconstruction job: smears one file of generated events, then selects from it in two streams.
#   run_reco.sh SMEAR_FCL SELECT_FCL INPUT NAME       writes NAME_dimuon.root and NAME_sideband.root
# Where JOBPROV_HOOK names the job-end hook, each step is recorded; without it the job runs all the same.
set -u
smear_fcl=$1 select_fcl=$2 input=$3 name=$4
toy=$TOYEXP_DIR/bin/toy

hook() { [ -z "${JOBPROV_HOOK:-}" ] || python3 "$JOBPROV_HOOK" "$@" || true; }
step() {
    label=$1
    shift
    if [ -n "${JOBPROV_HOOK:-}" ]; then
        python3 "$JOBPROV_HOOK" step --name "$label" --script "$0" -- "$@"
    else
        "$@"
    fi
}

hook start
step smear "$toy" -c "$smear_fcl" -s "$input" -o "${name}_simulated.root"
status=$?
if [ $status -eq 0 ]; then
    step select "$toy" -c "$select_fcl" -s "${name}_simulated.root" \
        -o "dimuon:${name}_dimuon.root" -o "sideband:${name}_sideband.root"
    status=$?
fi
hook end --exit-code $status
exit $status
