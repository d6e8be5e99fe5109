"""Answers about the FHiCL that jobs ran."""

from typing import Any, Literal

from msgspec import Struct


class EvaluationAnswer(Struct, frozen=True):
    """What the service found out about a configuration in the background.

    Attributes:
        problem: why it cannot be evaluated; None where it can.
        difference: how the files that were sent contradict what the program wrote.
        ran_as: the ParameterSetID of what the program wrote; None where that was not read.
        parsed_as: the ParameterSetID of what the files evaluate to.
        computed_as: the ParameterSetID of what art ran, computed from the files and the command
            line; None where that is not known, or differs by job.
        as_written: why what ran is not known, so that jobs are found by what the files say.
    """

    problem: str | None
    difference: str | None
    ran_as: str | None
    parsed_as: str | None
    computed_as: str | None
    as_written: str | None


class RunAnswer(Struct, frozen=True):
    """The set that ran, which is not the one in the files: art changes it before the job.

    Attributes:
        parameter_set_id: of what the program wrote, else as computed; None where it is not known.
        evidence: `written` by the program, or `computed` from files and command line.
        computed_as: the id as computed, also where the program wrote the set.
        not_known: why it cannot be computed.
    """

    parameter_set_id: str | None
    evidence: Literal["written", "computed"] | None
    computed_as: str | None
    not_known: str | None


class ConfigurationFile(Struct, frozen=True):
    """A file of a configuration.

    Attributes:
        name: as it is included.
        path: where it lay on the worker node; None where the record does not name it.
        found_in: the position in the search path of the folder that it was found in, from 0.
        text: None where the file was never uploaded.
    """

    name: str
    path: str | None
    sha256: str | None
    found_in: int | None
    text: str | None


class ConfigurationFiles(Struct, frozen=True):
    """The files that a step's configuration is made of.

    Attributes:
        step: None where the record gives the step no name.
        main: the name of the file that includes the others.
        run: what ran of it.
        evaluation: None where that is still to come.
    """

    step: str | None
    main: str | None
    files: list[ConfigurationFile]
    run: RunAnswer
    evaluation: EvaluationAnswer | None


class EvaluatedParameter(Struct, frozen=True):
    """A parameter, and the file and line that set it.

    Attributes:
        key: the whole path, `a.b[2].c`.
        value: its canonical text.
        file: as it was included; None where nothing wrote the parameter.
        line: counted from 1.
    """

    key: str
    value: str
    file: str | None
    line: int | None


class EvaluatedConfiguration(Struct, frozen=True):
    """What a step's configuration evaluates to.

    Attributes:
        values: the parameters as a tree; infinities and complex numbers are their text.
        parameters: the same as a list, in the order of print.
        run: what ran of it.
        evaluation: None where that is still to come.
    """

    parameter_set_id: str
    values: dict[str, Any]
    parameters: list[EvaluatedParameter]
    run: RunAnswer
    evaluation: EvaluationAnswer | None
