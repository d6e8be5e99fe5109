"""Tasks, campaigns, stages, sites, hosts, code, modules, parameters and messages by a part of them.

Jobs share these names, so there are few beside files; each search reads one table of them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, distinct, exists, func, literal, select

from jobprov.provenance.answers.addresses import campaign_page, jobs_list, task_page
from jobprov.provenance.answers.search import Hit
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.queries.lookup.jobs.by_id import jobs_by_batch_id, jobs_by_id
from jobprov.provenance.db.queries.search.matches import (
    MOST_COUNTED,
    MOST_ROWS,
    Matches,
    SearchText,
    first_matches,
)
from jobprov.provenance.db.tables import (
    Experiment,
    FailureClass,
    Host,
    ModuleSet,
    ParameterKey,
    Resolution,
    SoftwareRow,
    Stage,
    TaskRow,
)

_HEX_DIGITS = frozenset("0123456789abcdef")
_SHORTEST_COMMIT = 6
_MOST_SETS = 500
"""Lists of modules that are read, newest first."""
_MOST_CAUSES = 5000
"""Causes of failures that are looked at."""
Finder = Callable[[Connection, SearchText], Matches]


def find_jobs(connection: Connection, wanted: SearchText) -> Matches:
    """Return jobs whose job id or batch id begins with the text."""
    hits = jobs_by_id(connection, wanted.text, MOST_ROWS)
    hits += jobs_by_batch_id(connection, wanted.text, MOST_ROWS)
    return Matches(hits[: wanted.most], min(len(hits), MOST_COUNTED), len(hits) > MOST_COUNTED)


def find_tasks(connection: Connection, wanted: SearchText) -> Matches:
    """Return tasks whose id holds the text."""
    query = (
        select(TaskRow.task_id, Experiment.name, Stage.campaign, Stage.name)
        .join(Experiment, Experiment.id == TaskRow.experiment_id)
        .outerjoin(Stage, Stage.id == TaskRow.stage_id)
        .where(wanted.condition(connection, TaskRow.task_id))
        .order_by(wanted.order(connection, TaskRow.task_id), TaskRow.task_id)
    )

    def hit(task_id: str, experiment: str, campaign: str | None, stage: str | None) -> Hit:
        place = ", ".join(name for name in (experiment, campaign, stage) if name)
        return Hit("task", task_id, place, task_page(task_id, experiment))

    return first_matches(_rows(connection, query), wanted, hit)


def find_campaigns(connection: Connection, wanted: SearchText) -> Matches:
    """Return campaigns whose name holds the text and that have a task.

    Of the others nothing is left but the name.
    """
    query = (
        select(Stage.campaign, Experiment.name)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .where(
            wanted.condition(connection, Stage.campaign),
            exists().where(TaskRow.stage_id == Stage.id),
        )
        .group_by(Stage.campaign, Experiment.name)
        .order_by(wanted.order(connection, Stage.campaign), Stage.campaign)
    )
    return first_matches(
        _rows(connection, query),
        wanted,
        lambda name, experiment: Hit("campaign", name, experiment, campaign_page(name, experiment)),
    )


def find_stages(connection: Connection, wanted: SearchText) -> Matches:
    """Return stages whose name holds the text; a stage of several campaigns is several."""
    query = (
        select(Stage.name, Stage.campaign, Experiment.name)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .where(Stage.name != "", wanted.condition(connection, Stage.name))
        .order_by(wanted.order(connection, Stage.name), Stage.name, Stage.campaign)
    )

    def hit(name: str, campaign: str, experiment: str) -> Hit:
        place = f"{campaign}, {experiment}" if campaign else experiment
        url = jobs_list(experiment=experiment, campaign=campaign, stage=name)
        return Hit("stage", name, place, url)

    return first_matches(_rows(connection, query), wanted, hit)


def find_sites(connection: Connection, wanted: SearchText) -> Matches:
    """Return sites whose name holds the text."""
    query = (
        select(Host.site, func.count(distinct(Host.hostname)))
        .where(Host.site != "", wanted.condition(connection, Host.site))
        .group_by(Host.site)
        .order_by(wanted.order(connection, Host.site), Host.site)
    )
    return first_matches(
        _rows(connection, query),
        wanted,
        lambda site, hosts: Hit("site", site, _number(hosts, "host"), jobs_list(site=site)),
    )


def find_hosts(connection: Connection, wanted: SearchText) -> Matches:
    """Return worker nodes whose name holds the text."""
    query = (
        select(Host.hostname, func.min(Host.site))
        .where(Host.hostname != "", wanted.condition(connection, Host.hostname))
        .group_by(Host.hostname)
        .order_by(wanted.order(connection, Host.hostname), Host.hostname)
    )
    return first_matches(
        _rows(connection, query),
        wanted,
        lambda host, site: Hit("host", host, site, jobs_list(host=host)),
    )


def find_software(connection: Connection, wanted: SearchText) -> Matches:
    """Return software whose name holds the text."""
    query = (
        select(SoftwareRow.name, func.count())
        .where(wanted.condition(connection, SoftwareRow.name))
        .group_by(SoftwareRow.name)
        .order_by(wanted.order(connection, SoftwareRow.name), SoftwareRow.name)
    )
    return first_matches(
        _rows(connection, query),
        wanted,
        lambda name, count: Hit(
            "software", name, _number(count, "version"), jobs_list(software=name)
        ),
    )


def find_commits(connection: Connection, wanted: SearchText) -> Matches:
    """Return commits that begin with the text, and those whose tag or branch holds it."""
    digits = wanted.text.lower()
    is_commit = len(digits) >= _SHORTEST_COMMIT and not set(digits) - _HEX_DIGITS
    condition = wanted.condition(connection, SoftwareRow.requested_ref)
    if is_commit:
        condition = begins(SoftwareRow.revision, digits) | condition
    query = (
        select(SoftwareRow.revision, SoftwareRow.requested_ref, SoftwareRow.name)
        .where(condition)
        .distinct()
        .order_by(SoftwareRow.requested_ref, SoftwareRow.revision)
    )
    hits: dict[str, Hit] = {}
    for revision, ref, name in _rows(connection, query):
        commit = revision or ref or ""
        detail = f"{name or ''} {ref or ''}".strip()
        hits.setdefault(commit, Hit("commit", commit, detail, jobs_list(revision=commit)))
    if is_commit:
        hits = hits | _resolved_commits(connection, digits, hits)
    commits = list(hits.values())
    return Matches(
        commits[: wanted.most], min(len(commits), MOST_COUNTED), len(commits) > MOST_COUNTED
    )


def _resolved_commits(connection: Connection, digits: str, known: Iterable[str]) -> dict[str, Hit]:
    """Return commits that the service found for a tag or product, whether recorded or not."""
    query = select(Resolution.commit, Resolution.document).where(begins(Resolution.commit, digits))
    known_commits = set(known)
    hits: dict[str, Hit] = {}
    for commit, document_text in _rows(connection, query):
        if commit in known_commits:
            continue
        document = json.loads(document_text)
        details = [document.get(key) for key in ("name", "requested_ref", "evidence")]
        detail = " ".join(detail for detail in details if detail)
        hits[commit] = Hit("commit", commit, detail, jobs_list(revision=commit))
    return hits


def find_modules(connection: Connection, wanted: SearchText) -> Matches:
    """Return art modules whose label or type holds the text, of the newest lists of modules."""
    query = select(ModuleSet.document)
    if not wanted.is_short:
        query = query.where(wanted.condition(connection, ModuleSet.document))
    newest = query.order_by(ModuleSet.id.desc()).limit(_MOST_SETS)
    ranks: dict[tuple[str, str], int] = {}
    for document in connection.execute(newest).scalars():
        for _step, _path, stored_label, stored_type in json.loads(document):
            label, module_type = stored_label or "", stored_type or ""
            if wanted.is_in(label) or wanted.is_in(module_type):
                ranks[label, module_type] = min(wanted.rank(label), wanted.rank(module_type))
    modules = sorted(ranks, key=lambda module: (ranks[module], module))
    return first_matches(modules[:MOST_ROWS], wanted, _module_hit)


def _module_hit(label: str, module_type: str) -> Hit:
    return Hit(
        "module", label or module_type, module_type, jobs_list(parameter=f"*.{label}.module_type")
    )


def find_parameters(connection: Connection, wanted: SearchText) -> Matches:
    """Return FHiCL parameters whose path holds the text."""
    query = (
        select(ParameterKey.name)
        .where(wanted.condition(connection, ParameterKey.name))
        .order_by(wanted.order(connection, ParameterKey.name), ParameterKey.name)
    )
    return first_matches(
        _rows(connection, query),
        wanted,
        lambda name: Hit("parameter", name, "", jobs_list(parameter=name)),
    )


def find_messages(connection: Connection, wanted: SearchText) -> Matches:
    """Return causes of failures whose words hold the text, with how many jobs failed of each."""
    causes = _causes()
    words = (
        select(FailureClass.cause)
        .where(FailureClass.cause_key == causes.c.key)
        .limit(1)
        .scalar_subquery()
    )
    of_cause = select(causes.c.key, words.label("words")).subquery()
    query = (
        select(of_cause.c.key, of_cause.c.words)
        .where(wanted.condition(connection, of_cause.c.words))
        .order_by(of_cause.c.words)
    )
    rows = _rows(connection, query)
    return first_matches(
        rows,
        wanted,
        lambda key, text: Hit("message", text, "", jobs_list(cause_id=key)),
    )


def _causes() -> Any:
    """Return the keys of the causes of failures, each found by one look-up of the index."""
    first = select(func.min(FailureClass.cause_key).label("key"), literal(1).label("number"))
    causes = first.cte("causes", recursive=True)
    following = select(func.min(FailureClass.cause_key)).where(
        FailureClass.cause_key > causes.c.key
    )
    return causes.union_all(
        select(following.correlate(causes).scalar_subquery(), causes.c.number + 1).where(
            causes.c.key.is_not(None), causes.c.number < _MOST_CAUSES
        )
    )


def _rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> Sequence[Any]:
    return connection.execute(query.limit(MOST_ROWS)).all()


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


FINDERS: dict[str, Finder] = {
    "job": find_jobs,
    "task": find_tasks,
    "campaign": find_campaigns,
    "stage": find_stages,
    "site": find_sites,
    "host": find_hosts,
    "software": find_software,
    "commit": find_commits,
    "module": find_modules,
    "parameter": find_parameters,
    "message": find_messages,
}
