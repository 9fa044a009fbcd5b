"""More commands of ``corvus``: what the administrator's pages do, for a terminal.

Each asks one operation (`corvus_server.operations`), as `corvus_server.cli` does.
"""

from __future__ import annotations

import time
from typing import Any

import click

from corvus_server.cli import (
    Group,
    _ask,
    _config,
    _fail,
    _show,
    _table,
    _txt,
    as_json,
    domain,
    mailbox,
    main,
)


def _when(moment: float | None) -> str:
    return "-" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))


@domain.command("set")
@click.argument("name")
@click.option("--on/--off", "enabled", default=None, help="Take mail for it, or refuse it.")
@click.option("--strict-dmarc/--no-strict-dmarc", "strict_dmarc", default=None)
@click.option("--catch-all", help="Who gets what nobody else does; empty: it is refused.")
@as_json
@click.pass_context
def domain_set(ctx: click.Context, /, name: str, as_json: bool, **changes: Any) -> None:
    """Change how a domain behaves."""
    found = _ask(ctx, "domain set", domain=name, **changes)
    _show(found, as_json, lambda found: _table([found], ""))


@mailbox.command("set")
@click.argument("address")
@click.option("--name", help="The name of the person.")
@click.option("--quota", help="Such as 500M or 5G; 0 is without limit.")
@click.option("--admin/--no-admin", default=None, help="May administer the server.")
@click.option("--on/--off", "enabled", default=None, help="Takes mail and signs in, or not.")
@as_json
@click.pass_context
def mailbox_set(
    ctx: click.Context, /, address: str, as_json: bool, quota: str | None, **changes: Any
) -> None:
    """Change a mailbox."""
    from corvus_server.config import parse_size

    try:
        octets = None if quota is None else parse_size(quota)
    except ValueError as error:
        _fail(f"{quota} {error}")
    found = _ask(ctx, "mailbox set", address=address, quota=octets, **changes)
    _show(found, as_json, lambda found: _table([found], ""))


@main.group(cls=Group)
def dkim() -> None:
    """The keys that sign outgoing mail."""


@dkim.command("list")
@click.option("--domain", "domain_name", help="Only of this domain.")
@as_json
@click.pass_context
def dkim_list(ctx: click.Context, domain_name: str | None, as_json: bool) -> None:
    """List the keys."""
    found = _ask(ctx, "dkim list", domain=domain_name)

    def render(found: list[dict[str, Any]]) -> None:
        rows = [
            {
                "domain": key["domain"],
                "selector": key["selector"],
                "algorithm": key["algorithm"],
                "signs": key["active"],
                "made": _when(key["created"]),
            }
            for key in found
        ]
        _table(rows, "No key yet; `corvus dkim-gen DOMAIN` makes one.")

    _show(found, as_json, render)


@dkim.command("rotate")
@click.argument("domain_name", metavar="DOMAIN")
@click.option("--algorithm", type=click.Choice(["rsa", "ed25519"]), default="rsa")
@as_json
@click.pass_context
def dkim_rotate(ctx: click.Context, domain_name: str, algorithm: str, as_json: bool) -> None:
    """Make a further key under the next selector; retire the old one once it is published."""
    found = _ask(ctx, "dkim rotate", domain=domain_name, algorithm=algorithm)
    _show(found, as_json, lambda key: click.echo(f"{key['name']}. IN TXT {_txt(key['record'])}"))


def _key_verb(name: str, explanation: str, past: str) -> None:
    @dkim.command(name, help=explanation)
    @click.argument("domain_name", metavar="DOMAIN")
    @click.argument("selector")
    @as_json
    @click.pass_context
    def command(ctx: click.Context, domain_name: str, selector: str, as_json: bool) -> None:
        found = _ask(ctx, f"dkim {name}", domain=domain_name, selector=selector)
        _show(found, as_json, lambda _: click.echo(f"{selector} of {domain_name} {past}."))


_key_verb("retire", "Sign no more with the key SELECTOR of DOMAIN.", "signs no more")
_key_verb("activate", "Sign with a retired key again.", "signs again")
_key_verb("remove", "Forget a retired key for good.", "is forgotten")


@main.group(cls=Group)
def verdict() -> None:
    """Decisions about mail that came in."""


@verdict.command("list")
@click.option("--action", type=click.Choice(["accept", "junk", "greylist", "reject", "defer"]))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
@click.pass_context
def verdict_list(ctx: click.Context, action: str | None, limit: int, as_json: bool) -> None:
    """List the newest decisions."""
    found = _ask(ctx, "verdict list", action=action, limit=limit)

    def render(found: list[dict[str, Any]]) -> None:
        rows = [
            {
                "verdict": row["verdict"],
                "when": _when(row["created"]),
                "from": row["from"] or "<>",
                "to": row["recipients"][:1],
                "decision": row["action"],
                "why": row["sentence"],
            }
            for row in found
        ]
        _table(rows, "No decision yet.")

    _show(found, as_json, render)


@verdict.command("show")
@click.argument("number", type=int)
@as_json
@click.pass_context
def verdict_show(ctx: click.Context, number: int, as_json: bool) -> None:
    """Show one decision: the sentence, the score, and what would have changed it."""
    from corvus_server.inbound.verdict import flips

    found = _ask(ctx, "verdict show", verdict=number)

    def render(found: dict[str, Any]) -> None:
        click.echo(f"{found['action']}: {found['sentence']}")
        for signal in found["tree"].get("signals", ()):
            click.echo(f"  {signal['weight']:+g} {signal['name']}: {signal['evidence']}")
        for words in flips(found["tree"]):
            click.echo(f"  {words}")

    _show(found, as_json, render)


@main.group(cls=Group)
def greylist() -> None:
    """Senders that were asked to come again."""


@greylist.command("list")
@as_json
@click.pass_context
def greylist_list(ctx: click.Context, as_json: bool) -> None:
    """List them, newest first."""
    found = _ask(ctx, "greylist list")

    def render(found: list[dict[str, Any]]) -> None:
        seen = [{**row, **{k: _when(row[k]) for k in ("first_seen", "last_seen")}} for row in found]
        _table(seen, "Nobody was asked to come again.")

    _show(found, as_json, render)


@greylist.command("pass")
@click.argument("network")
@click.argument("domain_name", metavar="DOMAIN")
@as_json
@click.pass_context
def greylist_pass(ctx: click.Context, network: str, domain_name: str, as_json: bool) -> None:
    """Take the mail of DOMAIN from NETWORK for one that has come again."""
    found = _ask(ctx, "greylist pass", network=network, domain=domain_name)
    _show(found, as_json, lambda _: click.echo(f"{domain_name} may come in from {network}."))


@greylist.command("forget")
@click.argument("network")
@as_json
@click.pass_context
def greylist_forget(ctx: click.Context, network: str, as_json: bool) -> None:
    """Forget everybody who came from NETWORK."""
    found = _ask(ctx, "greylist forget", network=network)
    _show(found, as_json, lambda found: click.echo(f"{found['forgotten']} rows are forgotten."))


@main.group(cls=Group)
def login() -> None:
    """Sign-ins, and the doors that too many failures have closed."""


@login.command("list")
@click.option("--address", help="Only of this address.")
@as_json
@click.pass_context
def login_list(ctx: click.Context, address: str | None, as_json: bool) -> None:
    """List the newest attempts."""
    found = _ask(ctx, "login list", address=address)

    def render(found: dict[str, Any]) -> None:
        for door in found["closed"]:
            who = door["address"] or "everybody"
            click.echo(f"closed: {who} from {door['network']}, {door['seconds']} seconds more")
        rows = [{**row, "when": _when(row["when"])} for row in found["attempts"]]
        _table(rows, "No sign-in is on record.")

    _show(found, as_json, render)


@login.command("lift")
@click.argument("address")
@click.argument("network")
@as_json
@click.pass_context
def login_lift(ctx: click.Context, address: str, network: str, as_json: bool) -> None:
    """Let ADDRESS try again from NETWORK; an empty ADDRESS ("") is everybody there."""
    found = _ask(ctx, "login lift", address=address, network=network)
    _show(found, as_json, lambda _: click.echo(f"{address or 'everybody'} may try again."))


@main.command("settings")
@as_json
@click.pass_context
def settings(ctx: click.Context, as_json: bool) -> None:
    """Show every setting with its value (secrets hidden) and where it comes from."""
    from corvus_server.config import SETTINGS

    config = _config(ctx)
    rows = []
    for setting in SETTINGS:
        value = getattr(config, setting.name)
        if setting.secret:
            value = "(hidden)" if value else ""
        elif isinstance(value, tuple):
            value = ",".join(str(each) for each in value)
        rows.append(
            {
                "setting": setting.key,
                "value": value if isinstance(value, bool | int | float) else str(value or ""),
                "from": config.source.get(setting.name, "default"),
            }
        )
    _show(rows, as_json, lambda rows: _table(rows, ""))
