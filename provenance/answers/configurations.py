"""Answers about the FHiCL that jobs ran."""

from typing import Any

from msgspec import Struct


class EvaluationAnswer(Struct, frozen=True):
    """What the service found out about a configuration in the background.

    Attributes:
        problem: why it cannot be evaluated; None where it can.
        difference: how the files that were sent contradict what the program wrote.
        ran_as: the ParameterSetID of what the program wrote; None where that was not read.
        parsed_as: the ParameterSetID of what the files evaluate to.
    """

    problem: str | None
    difference: str | None
    ran_as: str | None
    parsed_as: str | None


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
        evaluation: None where that is still to come.
    """

    step: str | None
    main: str | None
    files: list[ConfigurationFile]
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
        evaluation: None where that is still to come.
    """

    parameter_set_id: str
    values: dict[str, Any]
    parameters: list[EvaluatedParameter]
    evaluation: EvaluationAnswer | None
