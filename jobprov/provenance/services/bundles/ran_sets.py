"""The sets that art ran of a job's configurations, for its bundle, where art did not write them."""

from contextlib import suppress

from jobprov.provenance.bundle.ingredients import RanSet
from jobprov.provenance.db.recording.configurations.art_runs import art_run, source_list
from jobprov.provenance.fhicl import FhiclError
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord
from jobprov.provenance.services.bundles.archive_blobs import PossessedBlobs
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    HeldBlobs,
    RecordedConfiguration,
)


def ran_sets(record: JobRecord, reader: PossessedBlobs) -> dict[int, RanSet]:
    """Return the computed sets by position of the configuration, as far as they are known.

    What the program wrote itself is in the bundle anyhow (`final.fcl`), and needs no other.
    """
    ran: dict[int, RanSet] = {}
    for position, configuration in enumerate(record.configurations or ()):
        if configuration.final_sha256 in reader.digests:
            continue
        with suppress(ConfigurationError, FhiclError):
            computed = _computed(record, configuration, position, reader)
            if computed is not None:
                ran[position] = computed
    return ran


def _computed(
    record: JobRecord, configuration: FclConfiguration, position: int, reader: PossessedBlobs
) -> RanSet | None:
    run = art_run(record, configuration)
    if run is None or run.not_known is not None:
        return None
    recorded = RecordedConfiguration(
        position,
        configuration,
        sources=HeldBlobs(reader.store, reader.digests),
        evaluation=None,
        art=run,
        source_list=source_list(record, run),
    )
    computed = recorded.compute_run().configuration
    if computed is None:
        return None
    return RanSet(text=computed.to_indented_string().encode(), identity=computed.parameter_set_id)
