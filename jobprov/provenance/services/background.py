"""The kinds of background work, each with the function that does it."""

from jobprov.provenance.db.queries.code.resolutions import RESOLVE
from jobprov.provenance.services.code.resolutions import resolve_software
from jobprov.provenance.services.configurations.evaluation import evaluate_configurations
from jobprov.provenance.services.failures.classes import classify
from jobprov.provenance.services.kept_answers.counting import count_question
from jobprov.provenance.services.kept_answers.kept_answers import COUNT
from jobprov.provenance.services.recording.gap_updates import refresh
from jobprov.provenance.services.recording.rederivation import DERIVE, derive_again
from jobprov.provenance.services.work.classifications import CLASSIFIED_AT_ONCE, CLASSIFY
from jobprov.provenance.services.work.evaluations import EVALUATE, EVALUATED_AT_ONCE
from jobprov.provenance.services.work.notices import ERASED, REFRESH
from jobprov.provenance.services.work.queue import Handler, Together

HANDLERS: dict[str, Handler] = {
    RESOLVE: resolve_software,
    REFRESH: refresh,
    ERASED: refresh,
    EVALUATE: Together(evaluate_configurations, EVALUATED_AT_ONCE),
    CLASSIFY: Together(classify, CLASSIFIED_AT_ONCE),
    DERIVE: derive_again,
    COUNT: count_question,
}
