"""The command ``corvus``: run the server, or ask it something.

Commands that look at the store go to the running server through its control socket; where none
runs they open the store themselves.  What is heavy is imported when it is needed, so that
``corvus version`` answers at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from corvus_server.config import Config


class Group(click.Group):
    """Turns the errors of the server into one sentence on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        from corvus_server.config import ConfigError

        try:
            return super().invoke(ctx)
        except ConfigError as error:
            _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    click.echo(f"corvus: {sentence}", err=True)
    sys.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar="COR_CONFIG",
    help="A TOML file with settings; COR_* variables win over it.",
)
@click.option("--data-dir", help="The data folder (COR_DATA_DIR).")
@click.pass_context
def main(ctx: click.Context, config_file: Path | None, data_dir: str | None) -> None:
    """A self-hosted mail server: SMTP, IMAP, POP3, queue, webmail and admin pages."""
    ctx.obj = {"file": config_file, "overrides": {"data_dir": data_dir} if data_dir else {}}


def _config(ctx: click.Context, **more: str) -> Config:
    from corvus_server.config import load

    settings = ctx.find_root().obj
    return load(os.environ, settings["file"], **{**settings["overrides"], **more})


def _ask(ctx: click.Context, operation: str, **arguments: Any) -> Any:
    """Have *operation* done by the running server, or on the store itself."""
    from corvus_server.control import ask
    from corvus_server.operations import OperationError

    config = _config(ctx)
    try:
        try:
            return ask(config.data_dir, operation, arguments)
        except ConnectionRefusedError:
            return asyncio.run(_on_store(config, operation, arguments))
    except OperationError as error:
        _fail(str(error))


async def _on_store(config: Config, operation: str, arguments: dict[str, Any]) -> Any:
    from corvus_server.app import open_for_command
    from corvus_server.operations import OperationError, Operations
    from corvus_server.storage.errors import StoreError

    try:
        store = open_for_command(config, operation)
    except StoreError as error:
        raise OperationError(str(error)) from error
    try:
        return await Operations(store, quota=config.quota).call(operation, arguments)
    finally:
        await store.close()


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _show(found: Any, as_json: bool, render: Callable[[Any], None]) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False, default=str))
    else:
        render(found)


def _table(rows: list[dict[str, Any]], empty: str) -> None:
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_cell(each) for each in value)
    if isinstance(value, dict):
        return " ".join(_cell(each) for each in value.values())
    return str(value)


# Running.


@main.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Run all listeners, the queue and the web pages until Ctrl-C or SIGTERM."""
    from corvus_server.serve import run

    sys.exit(run(_config(ctx)))


@main.command()
@click.option("--fresh", is_flag=True, help="Begin with an empty data folder.")
@click.pass_context
def demo(ctx: click.Context, fresh: bool) -> None:
    """Run a server with sample accounts and a second, simulated mail domain."""
    from corvus_server.demo import run

    settings = ctx.find_root().obj
    overrides = dict(settings["overrides"])
    if "data_dir" not in overrides and "COR_DATA_DIR" not in os.environ:
        overrides["data_dir"] = "corvus-data/demo"
    from corvus_server.config import load

    sys.exit(run(load(os.environ, settings["file"], **overrides), fresh=fresh))


@main.command()
def version() -> None:
    """Print the versions of the server and its libraries."""
    from importlib.metadata import version as of

    for name in ("server", "smtp", "imap", "pop3", "dkim", "auth", "message"):
        click.echo(f"corvus-{name} {of(f'corvus-{name}')}")


@main.command()
@as_json
@click.pass_context
def seed(ctx: click.Context, as_json: bool) -> None:
    """Make corvus.local with postmaster (admin), alice and bob, to play with."""
    found = _ask(ctx, "seed")

    def render(found: dict[str, Any]) -> None:
        if not found["made"]:
            click.echo(f"{found['domain']} is there already; nothing was changed.")
            return
        click.echo(f"{found['domain']} has {', '.join(found['made'])}.")
        click.echo(
            f"The password of each is {found['password']}; change it before anybody else can reach this server."
        )

    _show(found, as_json, render)


@main.command()
@click.argument("address")
@click.argument("password", required=False)
@as_json
@click.pass_context
def passwd(ctx: click.Context, address: str, password: str | None, as_json: bool) -> None:
    """Set the password of ADDRESS; without PASSWORD it is asked for, or drawn where nobody can type."""
    if password is None and sys.stdin.isatty():
        password = click.prompt("New password", hide_input=True, confirmation_prompt=True)
    found = _ask(ctx, "passwd", address=address, password=password)

    def render(found: dict[str, Any]) -> None:
        told = f": {found['password']}" if "password" in found else ""
        click.echo(f"{found['address']} has a new password{told}")

    _show(found, as_json, render)


@main.command("dkim-gen")
@click.argument("domain")
@click.option("--selector", help="A further key, for rotation; without it the domain's first key.")
@click.option(
    "--algorithm", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True
)
@as_json
@click.pass_context
def dkim_gen(
    ctx: click.Context, domain: str, selector: str | None, algorithm: str, as_json: bool
) -> None:
    """Make DOMAIN's signing key if it has none, and print its TXT record."""
    found = _ask(ctx, "dkim gen", domain=domain, selector=selector, algorithm=algorithm)
    _show(found, as_json, lambda key: click.echo(f"{key['name']}. IN TXT {_txt(key['record'])}"))


def _txt(record: str) -> str:
    """A TXT value in the strings of at most 255 octets that a zone file wants."""
    return " ".join(f'"{record[at : at + 255]}"' for at in range(0, len(record), 255))


@main.command()
@click.option("--ip", required=True, help="The address of the client that brought it.")
@click.option("--helo", default="unknown", show_default=True, help="What the client called itself.")
@click.option("--from", "mail_from", default="", help="The envelope sender; empty for a notice.")
@click.option(
    "--zone",
    type=click.Path(exists=True, path_type=Path),
    help="A JSON zone to ask instead of DNS.",
)
@as_json
@click.pass_context
def authenticate(
    ctx: click.Context, ip: str, helo: str, mail_from: str, zone: Path | None, as_json: bool
) -> None:
    """Check the message on standard input: SPF, DKIM, DMARC, and who vouches for it.

    Exit status: 0 somebody its author's domain trusts vouches for it, 1 nobody does, 2 the domain
    says nothing, 75 DNS did not answer.
    """
    from corvus_server.inbound.judge import judge

    found, status = asyncio.run(
        judge(
            _config(ctx),
            sys.stdin.buffer.read(),
            ip=ip,
            helo=helo,
            mail_from=mail_from,
            zone=zone.read_bytes() if zone else None,
        )
    )
    _show(found, as_json, lambda found: click.echo(found["sentence"]))
    sys.exit(status)


# Domains, mailboxes, aliases.


@main.group(cls=Group)
def domain() -> None:
    """Domains whose mail is ours."""


@domain.command("list")
@as_json
@click.pass_context
def domain_list(ctx: click.Context, as_json: bool) -> None:
    """List the domains."""
    rows = _ask(ctx, "domain list")
    _show(
        rows,
        as_json,
        lambda rows: _table(rows, "No domain yet; `corvus domain add NAME` makes one."),
    )


@domain.command("add")
@click.argument("name")
@as_json
@click.pass_context
def domain_add(ctx: click.Context, name: str, as_json: bool) -> None:
    """Add a domain, with a signing key."""
    found = _ask(ctx, "domain add", domain=name)

    def render(found: dict[str, Any]) -> None:
        key = found["dkim"]
        click.echo(f"{found['domain']} is ours now.  Publish for its signatures:")
        click.echo(f"{key['name']}. IN TXT {_txt(key['record'])}")

    _show(found, as_json, render)


@domain.command("remove")
@click.argument("name")
@as_json
@click.pass_context
def domain_remove(ctx: click.Context, name: str, as_json: bool) -> None:
    """Remove a domain that has no mailbox and no alias left."""
    found = _ask(ctx, "domain remove", domain=name)
    _show(found, as_json, lambda found: click.echo(f"{found['domain']} is no longer ours."))


@main.group(cls=Group)
def mailbox() -> None:
    """Mailboxes: who receives mail and signs in."""


@mailbox.command("list")
@click.option("--domain", "domain_name", help="Only of this domain.")
@as_json
@click.pass_context
def mailbox_list(ctx: click.Context, domain_name: str | None, as_json: bool) -> None:
    """List the mailboxes."""
    rows = _ask(ctx, "mailbox list", domain=domain_name)
    _show(
        rows,
        as_json,
        lambda rows: _table(rows, "No mailbox yet; `corvus mailbox add ADDRESS` makes one."),
    )


@mailbox.command("add")
@click.argument("address")
@click.argument("password", required=False)
@click.option("--name", default="", help="The name of the person.")
@click.option("--admin", is_flag=True, help="May administer the server.")
@as_json
@click.pass_context
def mailbox_add(
    ctx: click.Context, address: str, password: str | None, name: str, admin: bool, as_json: bool
) -> None:
    """Make a mailbox; without PASSWORD a random one is drawn and printed once."""
    found = _ask(ctx, "mailbox add", address=address, password=password, name=name, admin=admin)

    def render(found: dict[str, Any]) -> None:
        told = f"; its password is {found['password']}" if "password" in found else ""
        click.echo(f"{found['address']} is there{told}")

    _show(found, as_json, render)


@mailbox.command("remove")
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_context
def mailbox_remove(ctx: click.Context, address: str, yes: bool, as_json: bool) -> None:
    """Delete a mailbox with all its mail."""
    if (
        not yes
        and click.prompt(f"All mail of {address} will be deleted.  Type the address to go on")
        != address
    ):
        _fail("that is another address; nothing was deleted")
    found = _ask(ctx, "mailbox remove", address=address)
    _show(
        found,
        as_json,
        lambda found: click.echo(f"{found['address']} and {found['messages']} mails are gone."),
    )


@main.group(cls=Group)
def alias() -> None:
    """Aliases: addresses that stand for others."""


@alias.command("list")
@click.option("--domain", "domain_name", help="Only of this domain.")
@as_json
@click.pass_context
def alias_list(ctx: click.Context, domain_name: str | None, as_json: bool) -> None:
    """List the aliases."""
    rows = _ask(ctx, "alias list", domain=domain_name)
    _show(
        rows,
        as_json,
        lambda rows: _table(rows, "No alias yet; `corvus alias add ADDRESS TARGET` makes one."),
    )


@alias.command("add")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@as_json
@click.pass_context
def alias_add(ctx: click.Context, address: str, targets: tuple[str, ...], as_json: bool) -> None:
    """Make ADDRESS stand for TARGETS, here or outside."""
    found = _ask(ctx, "alias add", address=address, targets=list(targets))
    _show(
        found,
        as_json,
        lambda found: click.echo(f"{found['alias']} leads to {', '.join(found['targets'])}."),
    )


@alias.command("remove")
@click.argument("address")
@as_json
@click.pass_context
def alias_remove(ctx: click.Context, address: str, as_json: bool) -> None:
    """Remove an alias."""
    found = _ask(ctx, "alias remove", address=address)
    _show(found, as_json, lambda found: click.echo(f"{found['alias']} is gone."))


# The queue and the store.


@main.group(cls=Group)
def queue() -> None:
    """Mail on its way out."""


@queue.command("list")
@click.option(
    "--state", type=click.Choice(["waiting", "leased", "held", "delivered", "failed", "dropped"])
)
@click.option("--domain", "domain_name", help="Only to this domain.")
@as_json
@click.pass_context
def queue_list(
    ctx: click.Context, state: str | None, domain_name: str | None, as_json: bool
) -> None:
    """List what waits."""
    found = _ask(ctx, "queue list", state=state, domain=domain_name)

    def render(found: list[dict[str, Any]]) -> None:
        rows = [
            {
                "entry": entry["entry"],
                "from": entry["from"] or "<>",
                "to": recipient["address"],
                "state": recipient["state"],
                "attempts": recipient["attempts"],
                "last word": f"{recipient['code'] or ''} {recipient['text']}".strip(),
            }
            for entry in found
            for recipient in entry["recipients"]
        ]
        _table(rows, "The queue is empty.")

    _show(found, as_json, render)


@queue.command("show")
@click.argument("entry", type=int)
@as_json
@click.pass_context
def queue_show(ctx: click.Context, entry: int, as_json: bool) -> None:
    """Show one entry with the dialogue of each attempt."""
    found = _ask(ctx, "queue show", entry=entry)

    def render(found: dict[str, Any]) -> None:
        click.echo(f"From {found['from'] or '<>'}, {found['size']} octets")
        for recipient in found["recipients"]:
            click.echo(f"  {recipient['address']}: {recipient['state']} {recipient['text']}")
        for attempt in found["attempts"]:
            click.echo(
                f"\nAttempt {attempt['number']}: {attempt['outcome']} at {attempt['host']} [{attempt['address']}]"
            )
            click.echo(attempt["dialogue"])

    _show(found, as_json, render)


def _queue_verb(name: str, past: str, explanation: str) -> None:
    @queue.command(name, help=explanation)
    @click.argument("entry", type=int)
    @as_json
    @click.pass_context
    def command(ctx: click.Context, entry: int, as_json: bool) -> None:
        found = _ask(ctx, f"queue {name}", entry=entry)
        _show(found, as_json, lambda found: click.echo(f"{found['recipients']} recipients {past}."))


_queue_verb("retry", "will be tried now", "Try ENTRY now.")
_queue_verb("hold", "are held", "Keep ENTRY from being tried until it is released.")
_queue_verb("release", "are released", "Let a held ENTRY go on.")
_queue_verb("drop", "were dropped", "Take ENTRY out of the queue; nobody is told.")


@main.command()
@click.option("--fix", is_flag=True, help="Repair what can be repaired.")
@as_json
@click.pass_context
def check(ctx: click.Context, fix: bool, as_json: bool) -> None:
    """Compare the store with itself; exit status 1 with findings."""
    found = _ask(ctx, "check", fix=fix)
    _show(found, as_json, lambda found: _table(found, "The store is consistent."))
    sys.exit(1 if any(not finding["fixed"] for finding in found) else 0)


@main.command()
@as_json
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at DNS, ports, TLS, the reverse name, the clock and the disk."""
    from corvus_server.doctor import examine

    config = _config(ctx)
    domains = [row["domain"] for row in _ask(ctx, "domain list")]
    keys = _ask(ctx, "dkim list")
    found = asyncio.run(examine(config, domains, keys))
    _show(found, as_json, lambda found: _table(found, "Nothing to say."))
    sys.exit(1 if any(row["state"] == "wrong" for row in found) else 0)


from corvus_server import cli_admin  # noqa: E402, F401  # adds its commands to the groups above

if __name__ == "__main__":
    main()
