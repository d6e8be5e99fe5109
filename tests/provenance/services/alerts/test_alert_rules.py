"""The operator's file of alerts: what it may say, and how it is told that something is wrong."""

from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.alerts.receivers import address_of
from jobprov.provenance.services.alerts.rules import (
    MOST_RULES,
    FailureShare,
    QuietHours,
    Receiver,
    read_alert_rules,
)

GOOD = """\
[nova]
quiet = "22:00-07:00"
time_zone = "America/Chicago"

[nova.receivers.shifters]
url_file = "/etc/jobprov/shifters"

[[nova.rules]]
name = "many jobs fail"
when = "failure_share"
over = 0.2
window = "3h"
by = "site"
to = ["shifters"]
"""
RULE = '\n[[nova.rules]]\nname = "x"\nto = ["shifters"]\nwhen = '
WRONG = {
    "unknown setting of a rule": (
        GOOD + RULE + '"held"\novr = 3\n',
        "line 20: nova.rules[1].ovr: there is no such field here; there are when, over, name, to, urgent.",
    ),
    "address in the file": (
        GOOD.replace("url_file = ", "url = "),
        (
            "line 6: nova.receivers.shifters.url: there is no such field here; "
            "there are url_file, url_variable."
        ),
    ),
    "unknown setting": (
        GOOD.replace("quiet", "silent"),
        (
            "line 2: nova.silent: there is no such field here; "
            "there are rules, receivers, quiet, time_zone, over_after."
        ),
    ),
    "no address": (
        GOOD.replace("url_file", "# "),
        "line 5: nova.receivers.shifters: give either url_file or url_variable.",
    ),
    "unknown condition": (
        GOOD + RULE + '"on fire"\n',
        "line 19: nova.rules[1].when: one of failure_share, ",
    ),
    "unknown receiver": (
        GOOD.replace('to = ["shifters"]', 'to = ["shifter"]'),
        "line 14: nova.rules[0].to: there is no receiver 'shifter', only shifters.",
    ),
    "two of one name": (
        GOOD + RULE.replace('"x"', '"many jobs fail"') + '"stuck"\n',
        "line 17: nova.rules[1].name: there are two rules 'many jobs fail'.",
    ),
    "share": (GOOD.replace("0.2", "20"), "line 11: nova.rules[0].over: "),
    "window": (
        GOOD.replace("3h", "60d"),
        "line 12: nova.rules[0].window: a window has 7 days at most.",
    ),
    "no window": (GOOD.replace("3h", "three hours"), "line 12: nova.rules[0].window: not a length"),
    "quiet": (
        GOOD.replace("22:00-07:00", "at night"),
        "line 2: nova.quiet: give two times of the day, such as 22:00-07:00.",
    ),
    "time zone": (
        GOOD.replace("America/Chicago", "America/../etc"),
        "line 3: nova.time_zone: there is no time zone 'America/../etc'.",
    ),
    "experiment": (GOOD.replace("nova", '"no va"'), "line 1: no va: "),
    "no table": ("nova = 3\n", "line 1: nova: write it as a table [nova]."),
    "no TOML": (GOOD + "[nova\n", "at line 15"),
    "too many rules": (
        GOOD + RULE.join(["", *[f'"held"\nover = {number}\n' for number in range(MOST_RULES)]]),
        "nova.rules: ",
    ),
}


def written(folder: Path, text: str) -> Path:
    file = folder / "alerts.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_file_says_what_is_watched_and_who_is_told(tmp_path: Path) -> None:
    alerts = read_alert_rules(written(tmp_path, GOOD))["nova"]

    [rule] = alerts.rules
    assert rule == FailureShare(
        name="many jobs fail", to=["shifters"], over=0.2, window="3h", by="site"
    )
    assert rule.condition == "failure_share"
    assert alerts.quiet == QuietHours(time(22), time(7), ZoneInfo("America/Chicago"))
    assert not alerts.is_urgent("many jobs fail")


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, case: str) -> None:
    text, told = WRONG[case]
    file = written(tmp_path, text)

    with pytest.raises(BadInputError) as caught:
        read_alert_rules(file)

    assert str(file) in str(caught.value)
    assert told in str(caught.value)


def test_quiet_hours_end_by_the_clock_of_their_zone() -> None:
    chicago = QuietHours(time(22), time(7), ZoneInfo("America/Chicago"))
    noon = QuietHours(time(12), time(13), UTC)

    assert chicago.ends(datetime(2026, 11, 29, 3, 59, tzinfo=UTC)) is None
    assert chicago.ends(datetime(2026, 11, 29, 4, 0, tzinfo=UTC)) == datetime(
        2026, 11, 29, 13, tzinfo=UTC
    )
    assert chicago.ends(datetime(2026, 11, 29, 12, 59, tzinfo=UTC)) is not None
    assert chicago.ends(datetime(2026, 11, 29, 13, 0, tzinfo=UTC)) is None
    assert noon.ends(datetime(2026, 11, 29, 12, 30, tzinfo=UTC)) == datetime(
        2026, 11, 29, 13, tzinfo=UTC
    )


def test_address_is_looked_up_when_needed_and_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "address"
    in_file = Receiver(url_file=str(file))
    with pytest.raises(BadInputError, match="No such file"):
        address_of("shifters", in_file)
    file.write_text("# the chat of shifters\nslack://SECRET\nslack://SECRET2\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="one line with one address") as caught:
        address_of("shifters", in_file)
    assert "SECRET" not in str(caught.value)
    file.write_text("# the chat of shifters\nslack://SECRET\n", encoding="utf-8")
    assert address_of("shifters", in_file) == "slack://SECRET"

    in_variable = Receiver(url_variable="CHAT_OF_SHIFTERS")
    with pytest.raises(BadInputError, match="CHAT_OF_SHIFTERS is not set"):
        address_of("shifters", in_variable)
    monkeypatch.setenv("CHAT_OF_SHIFTERS", "slack://OTHER")
    assert address_of("shifters", in_variable) == "slack://OTHER"
