"""Settings: one table, and sentences for what is wrong with them."""

from __future__ import annotations

import dataclasses
import doctest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corvus_server.config
from corvus_server.config import SETTINGS, Config, ConfigError, ListenAddress, env_example, load

ROOT = Path(__file__).parents[3]


def test_the_doctests_hold() -> None:
    assert doctest.testmod(corvus_server.config).failed == 0


def test_env_example_lists_every_setting_with_its_default() -> None:
    example = ROOT / ".env.example"
    if not example.exists():
        pytest.skip("the tests run outside the repository: .env.example is not here")
    assert example.read_text() == env_example()


def test_the_defaults_are_the_development_profile_on_loopback() -> None:
    config = load({})
    ports = {name: address.port for name, address in config.listen_addresses.items()}
    assert ports == {
        "smtp_addr": 2525, "submission_addr": 5870, "submission_tls_addr": 4650,
        "imap_addr": 1430, "imap_tls_addr": 9930, "pop3_addr": 1100, "pop3_tls_addr": 9950,
        "web_addr": 8025,
    }  # fmt: skip
    assert all(address.loopback for address in config.listen_addresses.values())
    assert set(config.source.values()) == {"default"}


def test_every_row_is_a_field_and_every_field_a_row() -> None:
    fields = {field.name for field in dataclasses.fields(Config)} - {"source"}
    assert fields == {setting.name for setting in SETTINGS}


def test_the_environment_wins_over_the_file_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "corvus.toml"
    file.write_text('hostname = "file.example"\nCOR_GREYLIST = "off"\nrate_limits = false\n')
    config = load({"COR_HOSTNAME": "env.example"}, file)
    assert (config.hostname, config.greylist, config.rate_limits) == ("env.example", "off", False)
    assert config.source["hostname"] == "environment"
    assert config.source["greylist"] == "file"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("COR_SMTP_ADDR", "25"),
        ("COR_SMTP_ADDR", "mail.example:25"),
        ("COR_SMTP_ADDR", "127.0.0.1:70000"),
        ("COR_HOSTNAME", "two words"),
        ("COR_RETRY_SCHEDULE", "soon"),
        ("COR_RETRY_SCHEDULE", "0s"),
        ("COR_MAX_MESSAGE_SIZE", "big"),
        ("COR_GREYLIST", "sometimes"),
        ("COR_RATE_LIMITS", "perhaps"),
        ("COR_ADMIN_EMAIL", "nobody"),
        ("COR_DNS_SERVERS", "dns.example"),
        ("COR_OUTBOUND_PORT", "99999"),
        ("COR_JUNK_THRESHOLD", "much"),
        ("COR_HOSTNMAE", "typo.example"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_its_key(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({key: value})
    sentence = str(caught.value)
    assert sentence.startswith(key)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_secret_is_never_quoted() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"COR_ADMIN_PASSWORD": "hunter2\n"})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(load({"COR_ADMIN_PASSWORD": "hunter2"}))


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="belong together"):
        load({"COR_TLS_CERT": "chain.pem"})


def test_a_file_that_is_not_toml_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("this is not = = toml")
    with pytest.raises(ConfigError, match="is not TOML"):
        load({}, file)
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, tmp_path / "missing.toml")


@pytest.mark.property
@given(st.text(max_size=40))
def test_no_text_of_an_address_raises_anything_but_value_error(text: str) -> None:
    try:
        parsed = ListenAddress.parse(text)
    except ValueError:
        return
    assert parsed is None or 0 <= parsed.port <= 65535
