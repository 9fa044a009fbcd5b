"""The parts of the simulation, each by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from corvus_server.simulation import Deadlock, SimulatedDNS, SimulatedNetwork, Weather, run


class End(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: Any = None
        self.got = bytearray()
        self.heard: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data

    def eof_received(self) -> bool:
        self.heard.append("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append("lost" if exc is None else type(exc).__name__)

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")


async def pair(weather: Weather | None = None) -> tuple[End, End, SimulatedNetwork]:
    server = End()
    network = SimulatedNetwork(lambda source, address, port: weather or Weather())
    network.listen("198.51.100.1", 25, lambda: server)
    _, client = await network.connect(End, "198.51.100.1", 25, source="192.0.2.9")
    return client, server, network


def test_pieces_keep_their_order_and_take_their_time() -> None:
    async def main() -> None:
        client, server, _ = await pair(Weather(delay=0.5))
        began = asyncio.get_running_loop().time()
        for n in range(200):
            client.transport.write(b"%d," % n)
        while not server.got.endswith(b"199,"):
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.5, abs=0.02)
        assert bytes(server.got) == b"".join(b"%d," % n for n in range(200))
        assert server.transport.get_extra_info("peername")[0] == "192.0.2.9"

    run(main())


def test_a_reader_that_pauses_pushes_back() -> None:
    async def main() -> None:
        client, server, _ = await pair()
        server.transport.pause_reading()
        for _ in range(20):
            client.transport.write(b"x" * 10_000)
        await asyncio.sleep(1)
        assert client.heard == ["pause"]
        assert not server.got
        server.transport.resume_reading()
        await asyncio.sleep(1)
        assert client.heard == ["pause", "resume"]
        assert len(server.got) == 200_000

    run(main())


def test_a_close_is_heard_behind_what_was_written() -> None:
    async def main() -> None:
        client, server, _ = await pair()
        client.transport.write(b"last words")
        client.transport.close()
        client.transport.write(b"too late")
        await asyncio.sleep(1)
        assert bytes(server.got) == b"last words"
        assert server.heard == ["eof", "lost"]
        assert client.heard == ["lost"]

    run(main())


@pytest.mark.parametrize(
    ("weather", "got", "heard"),
    [
        (Weather(cut_after=2), b"ab", ["ConnectionResetError"]),
        (Weather(silent_after=2), b"ab", []),
        (Weather(half_close_after=2), b"ab", ["eof", "lost"]),
    ],
)
def test_bad_weather_comes_after_so_many_pieces(
    weather: Weather, got: bytes, heard: list[str]
) -> None:
    async def main() -> None:
        client, server, network = await pair(weather)
        for letter in (b"a", b"b", b"c", b"d"):
            server.transport.write(letter)
        await asyncio.sleep(1)
        assert bytes(client.got) == got
        assert client.heard == heard
        await network.close()
        assert client.heard[-1] in ("ConnectionResetError", "lost")

    run(main())


def test_nobody_answers_where_nobody_listens() -> None:
    async def main() -> None:
        _, _, network = await pair()
        with pytest.raises(ConnectionRefusedError):
            await network.connect(End, "198.51.100.2", 25)
        network.weather = lambda source, address, port: Weather(unreachable=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await network.connect(End, "198.51.100.1", 25)
        assert asyncio.get_running_loop().time() > 3600

    run(main())


def test_a_loop_that_waits_for_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from corvus_server.simulation import clock

    monkeypatch.setattr(clock, "PATIENCE", 0.01)

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(main())


def test_work_for_threads_is_done_in_place() -> None:
    async def main() -> None:
        began = asyncio.get_running_loop().time()
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        assert asyncio.get_running_loop().time() == began

    run(main())


def test_dns_follows_names_fails_and_heals() -> None:
    dns = SimulatedDNS(
        {
            "a.example": {"CNAME": ["b.example"]},
            "b.example": {"A": ["198.51.100.1"]},
            "ring.example": {"CNAME": ["ring.example"]},
            "deep.under.example": {"A": ["198.51.100.2"]},
        }
    )
    assert dns.resolve("a.example", "A").records == ("198.51.100.1",)
    assert dns.resolve("ring.example", "A").status == "servfail"
    assert dns.resolve("under.example", "A").status == "nodata"
    assert dns.resolve("b.example", "MX").status == "nodata"
    assert dns.resolve("no.example", "MX").status == "nxdomain"
    for name, rdtype in (("b.example", "A"), ("b.example", "*"), ("*", "*"), ("*", "A")):
        dns.fail(name, rdtype, "timeout")
        assert dns.resolve("b.example", "A").status == "timeout"
        dns.heal()
        assert dns.resolve("b.example", "A").status == "ok"
    dns.remove("b.example")
    assert dns.resolve("b.example", "A").status == "nxdomain"
    dns.publish(lambda name, rdtype: [b"k"] if name.startswith("s._domainkey") else None)
    assert dns.resolve("s._domainkey.any.example", "TXT").records == (b"k",)
