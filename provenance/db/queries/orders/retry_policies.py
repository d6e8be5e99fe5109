"""What experiments have tried again without asking, as they declared it."""

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Experiment, RetryPolicyRow


def policy_documents(connection: Connection, experiment: str) -> dict[str, str]:
    """Return the policies of an experiment by stage, each as JSON."""
    query = (
        select(RetryPolicyRow.stage, RetryPolicyRow.document)
        .join(Experiment, Experiment.id == RetryPolicyRow.experiment_id)
        .where(Experiment.name == experiment)
        .order_by(RetryPolicyRow.stage)
    )
    return dict(connection.execute(query).all())
