"""The published test suite of RFC 7208, run as data; see vectors/SOURCES.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from corvus_auth import spf
from corvus_auth.lookup import Answer, AnswerStatus

SUITE = json.loads((Path(__file__).parent / "vectors" / "rfc7208-tests.json").read_text("utf-8"))


class SuiteResolver:
    """The zone data of a scenario, read as the suite's own driver reads it."""

    def __init__(self, zonedata: dict[str, list[Any]]) -> None:
        self.zone = {name.lower(): self._records(records) for name, records in zonedata.items()}

    def _records(self, records: list[Any]) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        copied: list[tuple[str, Any]] = []
        has_txt = False
        for record in records:
            if record == "TIMEOUT":
                found.append(("*", "TIMEOUT"))
                continue
            for rdtype, value in record.items():
                if rdtype in ("TXT", "SPF") and isinstance(value, str) and value != "TIMEOUT":
                    value = [value]
                if rdtype == "TXT":
                    has_txt = True
                elif rdtype == "SPF":
                    # Type SPF is the suite's shorthand for TXT where there is no TXT beside it.
                    copied.append(("TXT", value))
                if value != ["NONE"]:
                    found.append((rdtype, value))
        return found if has_txt else found + copied

    def resolve(self, name: str, rdtype: str) -> Answer:
        for _ in range(8):
            if any(len(label) > 63 for label in name.split(".")):
                return Answer("servfail")
            records = self.zone.get(name.lower())
            if records is None:
                return Answer("servfail" if name.lower().startswith("error.") else "nxdomain")
            values = []
            for kind, value in records:
                if kind == rdtype and value != "TIMEOUT":
                    values.append(value)
                elif kind == "*" or (kind == rdtype and value == "TIMEOUT"):
                    # A bare TIMEOUT is for the types that were not listed before it.
                    if kind == "*" and values:
                        break
                    return Answer("timeout")
            if values:
                return Answer("ok", tuple(self._record(rdtype, v) for v in values))
            aliases = [value for kind, value in records if kind == "CNAME"]
            if not aliases:
                return Answer("nodata")
            name = aliases[0].rstrip(".")
        return Answer("servfail")

    @staticmethod
    def _record(rdtype: str, value: Any) -> Any:
        if rdtype == "TXT":
            return b"".join(part.encode("utf-8") for part in value)
        return tuple(value) if rdtype == "MX" else value


CASES = [
    pytest.param(scenario, test, id=f"{scenario['description']}: {name}")
    for scenario in SUITE
    for name, test in scenario["tests"].items()
]


def test_the_suite_is_complete() -> None:
    assert len(CASES) == 203


@pytest.mark.parametrize(("scenario", "case"), CASES)
def test_suite(scenario: dict[str, Any], case: dict[str, Any]) -> None:
    resolver = SuiteResolver(scenario["zonedata"])
    result = spf.check(case["host"], case["mailfrom"], case["helo"], resolver=resolver)
    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
    shown = "\n".join(map(str, result.trace))
    assert result.status in expected, f"{result}\n{shown}"
    if "explanation" in case:
        assert (result.explanation or "DEFAULT") == case["explanation"], shown
    json.dumps(result.to_dict())


class FailingSuiteResolver(SuiteResolver):
    """As the suite's, but look-up number *fail_at* ends with *status*."""

    def __init__(self, zonedata: dict[str, list[Any]], fail_at: int, status: AnswerStatus) -> None:
        super().__init__(zonedata)
        self.left = fail_at
        self.status: AnswerStatus = status

    def resolve(self, name: str, rdtype: str) -> Answer:
        self.left -= 1
        return Answer(self.status) if self.left == -1 else super().resolve(name, rdtype)


@pytest.mark.parametrize("status", ["timeout", "servfail"])
@pytest.mark.parametrize("scenario", SUITE, ids=lambda s: s["description"])
def test_each_look_up_of_each_case_failed_in_turn_is_a_verdict(
    scenario: dict[str, Any], status: AnswerStatus
) -> None:
    for case in scenario["tests"].values():
        for fail_at in range(spf.Limits().lookups):
            resolver = FailingSuiteResolver(scenario["zonedata"], fail_at, status)
            result = spf.check(case["host"], case["mailfrom"], case["helo"], resolver=resolver)
            if resolver.left >= 0:
                break  # there is no look-up of that number
            assert result.status in set(spf.Status)
            assert result.reason
            if fail_at == 0:
                assert result.status == "temperror"
            if case["result"] == "fail":
                # Trouble never turns a fail into a pass.
                assert result.status != "pass"
