"""What background work there is: the one table of kinds and who does them."""

from provenance.services.classification_work import CLASSIFY
from provenance.services.classify_jobs import classify
from provenance.services.counting import count_question
from provenance.services.derive_again import DERIVE, derive_again
from provenance.services.evaluate_configurations import evaluate_configuration
from provenance.services.evaluation_work import EVALUATE
from provenance.services.fold_campaign import FOLD, count_again
from provenance.services.kept_answers import COUNT
from provenance.services.refresh_gaps import REFRESH, refresh
from provenance.services.repositories import RESOLVE
from provenance.services.resolve_software import resolve_software
from provenance.services.work import Handler

HANDLERS: dict[str, Handler] = {
    RESOLVE: resolve_software,
    REFRESH: refresh,
    EVALUATE: evaluate_configuration,
    CLASSIFY: classify,
    DERIVE: derive_again,
    FOLD: count_again,
    COUNT: count_question,
}
