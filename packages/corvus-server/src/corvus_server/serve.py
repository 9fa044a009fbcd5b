"""``corvus serve``: one server in one process, from start to a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator

from corvus_server.app import Server, StartError
from corvus_server.config import Config


def run(config: Config) -> int:
    """Serve until SIGINT or SIGTERM; the exit status."""
    return run_loop(lambda: _serve(config))


def run_loop(main: Callable[[], Awaitable[int]]) -> int:
    """Run *main* on uvloop where it exists, else on asyncio."""

    async def guarded() -> int:
        try:
            return await main()
        except StartError as error:
            print(f"corvus: {error}", file=sys.stderr)  # noqa: T201 - before there is a log to read
            return 1

    # A thread that computes (the full-text index, a large signature) may keep the loop waiting for
    # the interpreter's lock for this long each time the loop has let it go; 5 ms is the default.
    sys.setswitchinterval(0.0005)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(guarded())
    return int(uvloop.run(guarded()))


async def _serve(config: Config) -> int:
    with stop_signals() as stopped:
        server = Server(config)
        await server.start()
        for line in banner(server):
            print(line, flush=True)  # noqa: T201 - the command's own output
        await stopped.wait()
        await server.stop()
    return 0


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """
    An event that Ctrl-C and SIGTERM set; a second Ctrl-C ends at once.

    It stands before the start, so that no moment is left in which a signal would end the process unclean.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def release() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)

    def stop() -> None:
        stopped.set()
        release()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        release()


_WORDS = {
    "smtp_addr": "SMTP, mail from other servers",
    "submission_addr": "submission, STARTTLS",
    "submission_tls_addr": "submission, TLS",
    "imap_addr": "IMAP, STARTTLS",
    "imap_tls_addr": "IMAP, TLS",
    "pop3_addr": "POP3, STLS",
    "pop3_tls_addr": "POP3, TLS",
}


def banner(server: Server) -> list[str]:
    """What an operator wants to read after the start: addresses, certificate, first password."""
    addresses = server.addresses()
    lines = ["", f"Corvus is ready on {server.config.hostname}.", ""]
    if "web_addr" in addresses:
        url = f"http://{addresses['web_addr']}/"
        lines.append(f"  {url:<24} webmail, account, administration")
    for name, words in _WORDS.items():
        if name in addresses:
            lines.append(f"  {addresses[name]:<24} {words}")
    lines += ["", f"  certificate SHA-256 {server.certificate.fingerprint}"]
    if server.first_password is not None:
        admin = next(a for a in server.store.directory.accounts() if a.admin)
        lines += ["", f"  The administrator is {admin.address}, password {server.first_password}",
                  "  It is shown this once; `corvus passwd` sets another."]  # fmt: skip
    return [*lines, "", "Ctrl-C stops it.", ""]
