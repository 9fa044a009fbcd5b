"""Policy and capabilities."""

import pytest

from corvus_pop3 import Capabilities, Policy
from corvus_pop3.capabilities import offer, parse_capabilities


def test_the_first_of_two_lines_counts_and_an_empty_one_not_at_all() -> None:
    capabilities = parse_capabilities([b"sasl plain  login", b"SASL X", b"", b"Top", b"X-\xff"])
    assert capabilities.mechanisms == ("PLAIN", "LOGIN")
    assert "TOP" in capabilities
    assert "UIDL" not in capabilities
    assert capabilities.get("uidl") == ()
    assert capabilities["top"] == ()


def test_what_is_offered_is_read_back() -> None:
    policy = Policy(mechanisms=("PLAIN",), expire=30, login_delay=900, implementation="x y")
    offered = offer(policy, login=True, stls=True, transaction=False, expire=30, login_delay=900)
    assert parse_capabilities(offered.lines()) == offered
    assert isinstance(offered, Capabilities)


@pytest.mark.parametrize(
    "wrong",
    [
        {"greeting": "a\r\n+OK"},
        {"greeting": "<1@x>"},
        {"greeting": "[AUTH] x"},
        {"greeting": "ä"},
        {"greeting": "x" * 201},
        {"mechanisms": ("plain",)},
        {"mechanisms": ("A B",)},
        {"mechanisms": ("",)},
        {"mechanisms": tuple("X" * (n % 20 + 1) for n in range(21))},
        {"implementation": ""},
        {"implementation": "a  b"},
        {"implementation": "a\r\nb"},
        {"implementation": "x" * 201},
        {"expire": -1},
        {"login_delay": -1},
        {"login_delay": "NEVER"},
        {"expire": "5\r\n"},
        {"expire": " 5 "},
    ],
)
def test_a_policy_that_cannot_be_announced_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Policy(**wrong)  # type: ignore[arg-type]  # the table holds every kind of field


def test_the_longest_lines_still_fit() -> None:
    policy = Policy(mechanisms=tuple(chr(65 + n) * 20 for n in range(20)), implementation="x" * 200)
    offered = offer(
        policy, login=True, stls=True, transaction=True, expire="NEVER", login_delay=None
    )
    assert max(len(line) + 2 for line in offered.lines()) <= 512
