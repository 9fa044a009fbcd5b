"""``corvus doctor``: what stands between this machine and mail that arrives, in sentences."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

from corvus_server import checklist, probes
from corvus_server.config import Config
from corvus_server.network import SystemNetwork

#: Free octets below which the disk is a worry.
FREE: Final = 1 << 30


async def examine(
    config: Config,
    domains: Sequence[str],
    keys: Sequence[dict[str, Any]],
    resolver: Any = None,
) -> list[dict[str, str]]:
    """
    Examine DNS, ports, certificate, clock and disk.

    Returns:
        Rows of ``subject``, ``state`` (``good``, ``wrong``, ``unknown``) and ``finding``.
    """
    resolver = probes.fresh(resolver, config)
    steps = await checklist.examine(config, domains, keys, resolver)
    steps.append(probes.certificate(config, time.time()))
    steps.append(probes.clock(time.time()))
    steps.append(await probes.outbound(config, SystemNetwork(), resolver, ()))
    return [*(_told(step) for step in steps), _disk(config), *(await _ports(config))]


def _row(subject: str, state: str, finding: str) -> dict[str, str]:
    return {"subject": subject, "state": state, "finding": finding}


def _told(step: checklist.Step) -> dict[str, str]:
    """A line of the checklist, with what to publish where it is not there."""
    subject = f"{step.topic} {step.domain}".strip()
    if step.state == checklist.GOOD:
        return _row(subject, "good", step.finding)
    if step.state == checklist.UNKNOWN or step.optional:
        return _row(subject, "unknown", step.finding)
    finding = step.finding
    if step.name and step.value:
        value = checklist.txt(step.value) if step.rdtype == "TXT" else step.value
        finding += f" Publish: {step.name}. {step.rdtype} {value}"
    return _row(subject, "wrong", finding)


def _disk(config: Config) -> dict[str, str]:
    folder = config.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    words = f"{free / (1 << 30):.1f} GiB are free for {config.data_dir}"
    return _row("disk", "good" if free > FREE else "wrong", words)


async def _ports(config: Config) -> list[dict[str, str]]:
    """Whether the listeners answer, as seen from this machine."""
    rows = []
    for name, address in config.listen_addresses.items():
        host = address.host or "127.0.0.1"
        subject = f"{name.removesuffix('_addr')} {address}"
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, address.port), 3)
        except (OSError, TimeoutError):
            rows.append(_row(subject, "wrong", "nobody answers; is `corvus serve` running?"))
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        rows.append(_row(subject, "good", "answers"))
    if not rows:
        rows.append(_row("ports", "wrong", f"no listener is switched on at {socket.gethostname()}"))
    return rows
