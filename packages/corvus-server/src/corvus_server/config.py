"""Settings: one table, read from ``COR_*`` variables or the same keys in a TOML file.

Every setting is one row of `SETTINGS`: its key, its default, how its text becomes a value, and what
it means.  ``.env.example`` is written from the table and a test keeps the two alike.  A wrong value
stops the start with one sentence that names the key.

The environment wins over the file, the file over the default; `Config.source` remembers which it was.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, final


class ConfigError(Exception):
    """A setting cannot be used; the message is one sentence that names its key."""


@final
@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen: ``127.0.0.1:2525``, ``[::1]:2525``, or ``:25`` for all addresses, v4 and v6."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> ListenAddress | None:
        """Read ``host:port``; ``off`` and the empty text mean that nobody listens.

        >>> ListenAddress.parse(":25")
        ListenAddress(host='', port=25)
        >>> str(ListenAddress.parse("[::1]:993"))
        '[::1]:993'
        """
        if text in ("", "off"):
            return None
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise ValueError("is not an address such as 127.0.0.1:2525, [::1]:2525 or :25")
        host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
        if host and host != "localhost":
            try:
                ip_address(host)
            except ValueError:
                raise ValueError(f"names {host!r}, which is not an IP address") from None
        return cls(host, int(port))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        return bool(self.host) and ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_duration(text: str) -> float:
    """Read ``90s``, ``5m``, ``4h``, ``5d``; a bare number is seconds.

    >>> parse_duration("4h"), parse_duration("1.5m"), parse_duration("30")
    (14400.0, 90.0, 30.0)
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw]?)", text.strip())
    if match is None:
        raise ValueError("is not a duration such as 90s, 5m, 4h or 5d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def parse_size(text: str) -> int:
    """Read ``50M`` or ``1073741824``, in octets.

    >>> parse_size("50M")
    52428800
    """
    match = re.fullmatch(r"([0-9]{1,12})([kmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise ValueError("is not a size such as 512K, 50M or 1G")
    return int(match[1]) * _SIZES[match[2]]


def _schedule(text: str) -> tuple[float, ...]:
    steps = tuple(parse_duration(part) for part in text.split(",") if part.strip())
    if not steps or min(steps) <= 0:
        raise ValueError("is not a list of durations such as 5m,15m,1h,4h")
    return steps


def _boolean(text: str) -> bool:
    try:
        return {"on": True, "yes": True, "true": True, "1": True}.get(text.lower()) or {
            "off": False, "no": False, "false": False, "0": False,
        }[text.lower()]  # fmt: skip
    except KeyError:
        raise ValueError("is neither on nor off") from None


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return text

    return parse


def _hostname(text: str) -> str:
    if not re.fullmatch(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.?", text):
        raise ValueError("is not a host name")
    return text.rstrip(".").lower()


def _optional_path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _path(text: str) -> Path:
    if not text:
        raise ValueError("is empty")
    return Path(text).expanduser()


def _address(text: str) -> str:
    if text and not re.fullmatch(r"[^\s@<>\0-\x1f]{1,64}@[A-Za-z0-9.-]{1,253}", text):
        raise ValueError("is not an address such as postmaster@example.com")
    return text


def _addresses(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        host = part.rpartition("#")[0] or part  # 127.0.0.1#5353 is another port
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(f"names {part!r}, which is not an IP address") from None
    return parts


def _networks(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        try:
            ip_network(part, strict=False)
        except ValueError:
            raise ValueError(f"names {part!r}, which is not a network") from None
    return parts


def _zones(text: str) -> tuple[str, ...]:
    return tuple(_hostname(part.strip()) for part in text.split(",") if part.strip())


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise ValueError("is not a whole number")
    return int(text)


def _score(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?", text.strip()):
        raise ValueError("is not a number such as 5.0")
    return float(text)


def _port(text: str) -> int:
    if (port := _count(text)) > 65535:
        raise ValueError("is not a port")
    return port


def _text(text: str) -> str:
    if any(ord(c) < 32 for c in text):
        raise ValueError("holds control characters")
    return text


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """One row: everything that is known about one setting."""

    name: str
    """The field of `Config`; the key is ``COR_`` and this in capitals."""
    default: str
    parse: Callable[[str], Any]
    help: str
    secret: bool = False

    @property
    def key(self) -> str:
        return f"COR_{self.name.upper()}"


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("hostname", "localhost", _hostname, "The name this server greets with; its PTR record should say the same."),
    Setting("data_dir", "corvus-data", _path, "The folder that holds everything: database, mail, keys, certificate."),
    Setting("smtp_addr", "127.0.0.1:2525", ListenAddress.parse, "SMTP from other servers (25 in the world); off switches a listener off."),
    Setting("submission_addr", "127.0.0.1:5870", ListenAddress.parse, "Submission by your users, with STARTTLS (587)."),
    Setting("submission_tls_addr", "127.0.0.1:4650", ListenAddress.parse, "Submission under TLS from the first octet (465)."),
    Setting("imap_addr", "127.0.0.1:1430", ListenAddress.parse, "IMAP with STARTTLS (143)."),
    Setting("imap_tls_addr", "127.0.0.1:9930", ListenAddress.parse, "IMAP under TLS (993)."),
    Setting("pop3_addr", "127.0.0.1:1100", ListenAddress.parse, "POP3 with STLS (110)."),
    Setting("pop3_tls_addr", "127.0.0.1:9950", ListenAddress.parse, "POP3 under TLS (995)."),
    Setting("web_addr", "127.0.0.1:8025", ListenAddress.parse, "Webmail, account and admin pages."),
    Setting("web_trusted_proxies", "", _networks, "Networks whose X-Forwarded-* headers are believed, such as 127.0.0.1/32."),
    Setting("tls_cert", "", _optional_path, "Certificate chain in PEM; empty: a self-made one in the data folder. Reloaded when it changes."),
    Setting("tls_key", "", _optional_path, "Private key of the certificate in PEM."),
    Setting("admin_email", "", _address, "The first administrator, made when the store is empty."),
    Setting("admin_password", "", _text, "Their password; empty: a random one, printed once.", secret=True),
    Setting("key_file", "", _optional_path, "The key that seals the DKIM keys; empty: corvus.key in the data folder, mode 0600."),
    Setting("dns_servers", "", _addresses, "Resolver addresses, such as 127.0.0.1,::1; empty: those of the system."),
    Setting("outbound_bind", "", _addresses, "Source addresses for outgoing mail, at most one of each family."),
    Setting("outbound_port", "25", _port, "The port of other mail servers."),
    Setting("allow_loopback_mx", "off", _boolean, "Whether mail may go out to 127.0.0.0/8 and ::1, for tests."),
    Setting("smarthost", "", _text, "A relay for all outgoing mail: host:port or user:password@host:port.", secret=True),
    Setting("retry_schedule", "5m,15m,30m,1h,2h,4h", _schedule, "Pauses between delivery attempts; the last repeats."),
    Setting("retry_give_up", "5d", parse_duration, "When an undeliverable mail is returned to its sender."),
    Setting("delay_notice", "4h", parse_duration, "When the sender is told that a mail is late."),
    Setting("greylist", "suspicious", _choice("suspicious", "all", "off"), "Whom to ask to come again: suspicious mail only, all, or nobody."),
    Setting("greylist_delay", "5m", parse_duration, "How soon a greylisted sender may come again."),
    Setting("junk_threshold", "5.0", _score, "The score from which mail goes to Junk."),
    Setting("authenticate", "on", _boolean, "Whether SPF, DKIM and DMARC are checked; off only for measurements."),
    Setting("dnsbl", "", _zones, "DNS block lists to ask, such as zen.spamhaus.org; empty: none."),
    Setting("dnswl", "", _zones, "DNS allow lists to ask; empty: none."),
    Setting("max_message_size", "50M", parse_size, "The largest mail that is accepted, in octets."),
    Setting("quota", "0", parse_size, "Octets that a new mailbox may hold; 0 is without limit."),
    Setting("rate_limits", "on", _boolean, "Limits on connections, sign-in failures and recipients."),
    Setting("connection_limit", "50", _count, "Connections one network (/24, /64) may hold open at a time; loopback may hold any number."),
    Setting("daily_recipients", "1000", _count, "Recipients one account may write to in a day."),
    Setting("log_level", "info", _choice("debug", "info", "warning", "error"), "What is written to standard error; the live log shows everything."),
    Setting("log_format", "text", _choice("text", "json"), "How it is written."),
)  # fmt: skip

Source = Literal["environment", "file", "default"]


@final
@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings, parsed; `load` is the way to one."""

    hostname: str
    data_dir: Path
    smtp_addr: ListenAddress | None
    submission_addr: ListenAddress | None
    submission_tls_addr: ListenAddress | None
    imap_addr: ListenAddress | None
    imap_tls_addr: ListenAddress | None
    pop3_addr: ListenAddress | None
    pop3_tls_addr: ListenAddress | None
    web_addr: ListenAddress | None
    web_trusted_proxies: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
    admin_email: str
    admin_password: str = field(repr=False)
    key_file: Path | None
    dns_servers: tuple[str, ...]
    outbound_bind: tuple[str, ...]
    outbound_port: int
    allow_loopback_mx: bool
    smarthost: str = field(repr=False)
    retry_schedule: tuple[float, ...]
    retry_give_up: float
    delay_notice: float
    greylist: str
    greylist_delay: float
    junk_threshold: float
    authenticate: bool
    dnsbl: tuple[str, ...]
    dnswl: tuple[str, ...]
    max_message_size: int
    quota: int
    rate_limits: bool
    connection_limit: int
    daily_recipients: int
    log_level: str
    log_format: str
    source: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """For each field, where its value came from."""

    @property
    def listen_addresses(self) -> dict[str, ListenAddress]:
        """The listeners that are switched on, by the name of their setting."""
        found = {
            setting.name: getattr(self, setting.name)
            for setting in SETTINGS
            if setting.name.endswith("_addr")
        }
        return {name: address for name, address in found.items() if address is not None}


def load(environ: Mapping[str, str], file: Path | None = None, **overrides: str) -> Config:
    """
    Read every setting from *environ*, then *file*, then the defaults.

    Args:
        environ: Usually ``os.environ``; only keys that begin with ``COR_`` are looked at.
        file: A TOML file whose top-level keys are those of the environment, in any case and with or
            without the ``COR_``.
        overrides: Text by field name, stronger than all else (options of a command line).

    Raises:
        ConfigError: A key is unknown or its value cannot be used; the text is one sentence.
    """
    in_file = _read_file(file) if file is not None else {}
    known = {setting.key for setting in SETTINGS} | {"COR_CONFIG"}
    for key in environ:
        if key.startswith("COR_") and key not in known:
            raise ConfigError(f"{key} is not a setting; .env.example lists all of them.")
    values: dict[str, Any] = {}
    source: dict[str, Source] = {}
    for setting in SETTINGS:
        if setting.name in overrides:
            text, origin = overrides[setting.name], "environment"
        elif setting.key in environ:
            text, origin = environ[setting.key], "environment"
        elif setting.key in in_file:
            text, origin = in_file[setting.key], "file"
        else:
            text, origin = setting.default, "default"
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as error:
            shown = "(hidden)" if setting.secret else repr(text)
            raise ConfigError(f"{setting.key}: {shown} {error}.") from None
        source[setting.name] = "environment" if origin == "environment" else (
            "file" if origin == "file" else "default"
        )  # fmt: skip
    if (values["tls_cert"] is None) != (values["tls_key"] is None):
        raise ConfigError("COR_TLS_CERT and COR_TLS_KEY belong together; only one of them is set.")
    return Config(**values, source=MappingProxyType(source))


def _read_file(file: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}.") from None
    known = {setting.key for setting in SETTINGS}
    found: dict[str, str] = {}
    for key, value in table.items():
        name = f"COR_{key.upper().removeprefix('COR_')}"
        if name not in known:
            raise ConfigError(f"{file}: {key} is not a setting; .env.example lists all of them.")
        if isinstance(value, bool):
            found[name] = "on" if value else "off"
        elif isinstance(value, list):
            found[name] = ",".join(str(part) for part in value)
        elif isinstance(value, str | int | float):
            found[name] = str(value)
        else:
            raise ConfigError(f"{file}: {key} is neither text, a number, a list nor true or false.")
    return found


def env_example() -> str:
    """The text of ``.env.example``: every setting with its default and what it means."""
    lines = [
        "# Every setting of corvus-server with its default; the same keys work in a TOML file.",
        "",
    ]
    for setting in SETTINGS:
        lines += [f"# {setting.help}", f"{setting.key}={setting.default}", ""]
    return "\n".join(lines)
