"""Jobs by several conditions at once, against a plain filter of the same jobs in Python.

Whatever way a search takes: near the newest jobs, or from their configurations.
"""

import random
import re
from typing import Any, NamedTuple

import pytest

from jobprov.provenance.db.queries.configurations import newest_jobs
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.lookup.jobs import list_jobs
from tests.library.production import Production
from tests.library.productions.configured_jobs import configured, paged
from tests.library.records import job_id

JOBS, QUESTIONS = 60, 40
TUNE = "GENIE_XSEC_TUNE"
TUNES = ("G18_10a", "G18_10b", "AR23_20i")
SITES = ("FNAL", "SMU")
WORDS = ("slow", "fast", "fit", "fist")
RELEASE = {"name": "art", "product": {"manager": "ups", "version": "v3_14_04"}}
LARSOFT = ("v10_04_01", "v10_05_00")
CONDITIONS = {
    "<5": lambda value: not isinstance(value, str) and value < 5,
    ">=5": lambda value: not isinstance(value, str) and value >= 5,
    "=3": lambda value: value == 3,
    "!=3": lambda value: value != 3,
    "fast": lambda value: value == "fast",
    "~f*t": lambda value: isinstance(value, str) and value.startswith("f"),
    "~*low": lambda value: value == "slow",
    None: lambda _: True,
}
"""What is asked of a value, and whether it holds."""
KEYS = {
    "gen.a": "gen.a",
    "gen.b": "gen.b",
    "sim.*": "sim[.].*",
    "*.a": ".*[.]a",
    "gen.*": "gen[.].*",
    "none.such": "none.such",
}
"""What is asked of a key, as a pattern for Python; `*` would mean what art adds as well."""


class Made(NamedTuple):
    """What a job is made of.

    Attributes:
        steps: parameters of each configuration.
        source: the file of its command line; None where it has none.
    """

    number: int
    steps: list[dict[str, Any]]
    tune: str
    site: str
    version: str
    seed: int
    source: str | None


class Question(NamedTuple):
    """A search for jobs; None for what does not matter."""

    key: str | None
    value: str | None
    tune: str | None
    site: str | None
    version: str | None
    seed: int | None


def parameters_of(chance: random.Random) -> dict[str, Any]:
    """Return parameters of a configuration: few of them, of few values, so that jobs share some."""
    made: dict[str, Any] = {}
    for key in ("gen.a", "gen.b", "sim.a", "sim.word"):
        if chance.random() < 0.8:
            choices: Any = WORDS if key == "sim.word" else range(9)
            made[key] = chance.choice(choices)
    return made


def made_jobs(chance: random.Random) -> list[Made]:
    configurations = [parameters_of(chance) for _ in range(30)]
    jobs = []
    for number in range(1, JOBS + 1):
        jobs.append(
            Made(
                number,
                chance.sample(configurations, chance.choice((1, 1, 2))),
                chance.choice(TUNES),
                chance.choice(SITES),
                chance.choice(LARSOFT),
                chance.randrange(20),
                chance.choice((None, f"/raw/{number % 7}/f{number}.root")),
            )
        )
    return jobs


def record_of_job(production: Production, job: Made) -> dict[str, Any]:
    configurations: list[dict[str, Any]] = []
    for place, step in enumerate(job.steps):
        lines = [f"{key}: {value}" for key, value in step.items()]
        record = configured(production, job.number, "\n".join(lines).encode())
        configurations.append({**record["configurations"][0], "step": f"art{place}"})
    argv = ["art", "-c", "job.fcl"]
    if job.source is not None:
        argv += ["-s", job.source]
    steps = [{"name": f"art{place}", "argv": argv} for place in range(len(job.steps))]
    larsoft = {"name": "larsoft", "product": {"manager": "ups", "version": job.version}}
    return {
        **record,
        "configurations": configurations,
        "command": {"argv": argv, "steps": steps},
        "software": [RELEASE, larsoft],
        "environment": {"variables": {TUNE: job.tune}},
        "host": {"hostname": f"n.{job.site}", "site": job.site},
        "seeds": [{"module": "gen", "seed": job.seed, "source": "log"}],
    }


def question_of(chance: random.Random) -> Question:
    key = chance.choice([None, *KEYS, "source.fileNames[*]"])
    value = None
    if key == "source.fileNames[*]":
        value = chance.choice((None, "~/raw/3/*", "~*/f1?.root", "/raw/5/f5.root"))
    elif key is not None:
        value = chance.choice(list(CONDITIONS))
    return Question(
        key,
        value,
        chance.choice((None, *TUNES)),
        chance.choice((None, None, *SITES)),
        chance.choice((None, None, *LARSOFT)),
        chance.randrange(20) if chance.random() < 0.1 else None,
    )


def source_holds(job: Made, value: str | None) -> bool:
    if job.source is None or value is None:
        return job.source is not None
    if not value.startswith("~"):
        return job.source == value
    pattern = re.escape(value[1:]).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, job.source) is not None


def parameter_holds(job: Made, question: Question) -> bool:
    if question.key is None:
        return True
    if question.key not in KEYS:
        return source_holds(job, question.value)
    key, condition = re.compile(KEYS[question.key]), CONDITIONS[question.value]
    for step in job.steps:
        for name, value in step.items():
            if key.fullmatch(name) and condition(value):
                return True
    return False


def is_found(job: Made, question: Question) -> bool:
    wanted = (
        (job.tune, question.tune),
        (job.site, question.site),
        (job.version, question.version),
        (job.seed, question.seed),
    )
    has_all = all(asked in {None, value} for value, asked in wanted)
    return has_all and parameter_holds(job, question)


def filters_of(question: Question) -> dict[str, Any]:
    filters: dict[str, Any] = {"parameter": question.key, "value": question.value}
    if question.tune is not None:
        filters["variable"] = f"{TUNE}={question.tune}"
    if question.version is not None:
        filters["software"] = f"larsoft={question.version}"
    return {**filters, "site": question.site, "seed": question.seed}


def take_every_way(production: Production, jobs: list[Made], chance: random.Random) -> None:
    """Ask many questions, and compare the pages of each with a plain filter."""
    for _ in range(QUESTIONS):
        question = question_of(chance)
        expected = [job.number for job in reversed(jobs) if is_found(job, question)]

        assert paged(production, **filters_of(question)) == expected, question


@pytest.mark.slow
def test_a_search_finds_what_a_plain_filter_does(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    jobs = made_jobs(chance)
    production.record(*[record_of_job(production, job) for job in jobs])
    production.work()

    take_every_way(production, jobs, chance)
    # as if there were many lists: near the newest jobs first, and then by the lists
    monkeypatch.setattr(newest_jobs, "_FEW_LISTS", 0)
    monkeypatch.setattr(newest_jobs, "_NEAR", 2)
    monkeypatch.setattr(newest_jobs, "_MOST_WALKED", 30)
    take_every_way(production, jobs, chance)


@pytest.mark.slow
def test_what_a_list_shows_is_why_a_job_is_in_it(production: Production) -> None:
    chance = random.Random(7)  # noqa: S311 - has to repeat, not to be secret
    jobs = made_jobs(chance)
    production.record(*[record_of_job(production, job) for job in jobs])
    production.work()
    by_id = {job_id(job.number): job for job in jobs}

    with production.database.reading.connect() as connection:
        filters = JobFilters(parameter="sim.*", value="<5", variable=f"{TUNE}={TUNES[0]}")
        listed = list_jobs(connection, filters)

    assert listed.jobs
    for job in listed.jobs:
        made = by_id[job.job_id]
        held = {("sim.a", str(step["sim.a"])) for step in made.steps if step.get("sim.a", 9) < 5}
        shown = {(found.key, found.value) for found in listed.matched[job.job_id]}
        assert shown == {*held, (f"${TUNE}", f'"{TUNES[0]}"')}
