"""Where mail for a domain goes: the generator over a dictionary."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_auth.lookup import Answer, ZoneResolver, run
from corvus_server.outbound.relay import Relay
from corvus_server.outbound.routing import MAX_ADDRESSES, MAX_HOSTS, Route, route

OWN = ("mail.corvus.local",)
SELF = ("192.0.2.25", "2001:db8::25")


def found(
    zone: dict[str, dict[str, list[Any]]], domain: str = "crow.example", **more: Any
) -> Route:
    more.setdefault("own_names", OWN)
    more.setdefault("own_addresses", SELF)
    return run(route(domain, **more), ZoneResolver(zone))


def hosts(where: Route) -> list[tuple[str, tuple[str, ...]]]:
    return [(hop.host, hop.addresses) for hop in where.hops]


def mx(*records: tuple[int, str], **addresses: list[str]) -> dict[str, dict[str, list[Any]]]:
    zone: dict[str, dict[str, list[Any]]] = {"crow.example": {"MX": list(records)}}
    for _, host in records:
        name = host.lower().rstrip(".")
        given_here = addresses.get(name.split(".")[0], ["198.51.100.1"])
        zone.setdefault(name, {}).update(
            {
                "A": [each for each in given_here if ":" not in each],
                "AAAA": [each for each in given_here if ":" in each],
            }
        )
    return zone


def test_lower_preferences_come_first_and_each_host_once() -> None:
    where = found(mx((20, "b.example"), (10, "A.example."), (30, "a.example")))
    assert [hop.host for hop in where.hops] == ["a.example", "b.example"]
    assert where.reason == "by its MX records"
    assert where.to_dict()["answers"][0]["type"] == "MX"


def test_equals_are_shuffled_and_only_they() -> None:
    zone = mx((10, "a.example"), (10, "b.example"), (10, "c.example"), (20, "d.example"))
    seen = set()
    for seed in range(20):
        where = found(zone, shuffle=random.Random(seed).shuffle)
        names = [hop.host[0] for hop in where.hops]
        assert names[-1] == "d"
        seen.add("".join(names))
    assert len(seen) > 3


def test_without_mx_the_domain_itself_is_tried() -> None:
    where = found({"crow.example": {"A": ["198.51.100.1"], "AAAA": ["2001:db8::1"]}})
    assert hosts(where) == [("crow.example", ("2001:db8::1", "198.51.100.1"))]
    assert "no MX" in where.reason


@pytest.mark.parametrize("records", [[(0, ".")], [(0, "")], [(10, ".")]])
def test_a_null_mx_takes_no_mail(records: list[Any]) -> None:
    where = found({"crow.example": {"MX": records, "A": ["198.51.100.1"]}})
    assert (where.code, where.enhanced) == (556, "5.1.10")


def test_a_null_mx_among_others_is_passed_over() -> None:
    where = found(mx((0, "."), (10, "a.example")))
    assert hosts(where) == [("a.example", ("198.51.100.1",))]
    assert found({"crow.example": {"MX": [(0, "."), (5, ".")]}}).enhanced == "5.1.2"


def test_a_domain_that_does_not_exist_is_permanent_and_trouble_is_not() -> None:
    assert (found({}).code, found({}).enhanced) == (550, "5.1.2")
    for status in ("timeout", "servfail"):
        for rdtype in ("MX", "A"):

            class Broken:
                broken: Any = (rdtype, status)

                def resolve(self, name: str, kind: str) -> Answer:
                    if kind == self.broken[0]:
                        return Answer(self.broken[1])
                    return Answer("ok", ((10, "a.example"),)) if kind == "MX" else Answer("nodata")

            where = run(route("crow.example", own_names=OWN), Broken())
            assert (where.code, where.enhanced, where.temporary) == (451, "4.4.3", True)


def test_a_host_with_trouble_does_not_hide_one_without() -> None:
    class Half:
        def resolve(self, name: str, kind: str) -> Answer:
            if kind == "MX":
                return Answer("ok", ((10, "a.example"), (20, "b.example")))
            if name == "a.example":
                return Answer("servfail")
            return Answer("ok", ("198.51.100.2",)) if kind == "A" else Answer("nodata")

    where = run(route("crow.example", own_names=OWN), Half())
    assert hosts(where) == [("b.example", ("198.51.100.2",))]


def test_mail_never_goes_to_ourselves_nor_behind_us() -> None:
    zone = mx((10, "a.example"), (20, "Mail.Corvus.Local"), (20, "c.example"), (30, "d.example"))
    assert [hop.host for hop in found(zone).hops] == ["a.example"]
    assert found(mx((10, "mail.corvus.local."))).enhanced == "5.4.6"
    assert (
        found(mx((10, "mail.corvus.local")), own_names=("MAIL.corvus.local",)).enhanced == "5.4.6"
    )


@pytest.mark.parametrize(
    "address", ["192.0.2.25", "2001:db8::25", "::ffff:192.0.2.25", "2001:DB8:0::25"]
)
def test_another_name_for_our_address_is_ourselves_too(address: str) -> None:
    zone = mx((10, "a.example"), (20, "alias.example"), (30, "z.example"), alias=[address])
    assert [hop.host for hop in found(zone).hops] == ["a.example"]
    assert found(mx((10, "alias.example"), (20, "z.example"), alias=[address])).enhanced == "5.4.6"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "224.0.0.1",
                "::ffff:0.0.0.0", "ff02::1", "fe80::1%eth0", "nonsense"],
)  # fmt: skip
def test_addresses_that_are_nobody_elses_are_not_gone_to(address: str) -> None:
    where = found(mx((10, "a.example"), a=[address]))
    assert (where.hops, where.code, where.enhanced) == ((), 550, "5.4.4")
    both = found(mx((10, "a.example"), (20, "b.example"), a=[address]))
    assert [hop.host for hop in both.hops] == ["b.example"]


def test_loopback_is_allowed_for_those_who_ask_for_it() -> None:
    where = found(mx((10, "a.example"), a=["127.0.0.1", "::1"]), allow_loopback=True)
    assert hosts(where) == [("a.example", ("127.0.0.1", "::1"))] or hosts(where) == [
        ("a.example", ("::1", "127.0.0.1"))
    ]


def test_many_addresses_of_one_family_do_not_crowd_out_the_other() -> None:
    many = [f"2001:db8::{n}" for n in range(1, 15)]
    ((_, addresses),) = hosts(found(mx((10, "a.example"), a=[*many, "198.51.100.9"])))
    assert len(addresses) == MAX_ADDRESSES
    assert addresses[1] == "198.51.100.9"


def test_a_hundred_hosts_are_not_asked_about() -> None:
    zone = mx(*((n, f"h{n}.example") for n in range(100)))
    assert len(found(zone).hops) == MAX_HOSTS


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        ("[198.51.100.1]", "198.51.100.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[ipv6:2001:db8::1]", "2001:db8::1"),
    ],
)
def test_an_address_literal_asks_nobody(domain: str, address: str) -> None:
    assert hosts(found({}, domain)) == [(domain, (address,))]


@pytest.mark.parametrize(
    ("domain", "enhanced"),
    [
        ("[127.0.0.1]", "5.4.4"), ("[IPv6:::1]", "5.4.4"), ("[IPv6:::ffff:127.0.0.1]", "5.4.4"),
        ("[192.0.2.25]", "5.4.6"), ("[0.0.0.0]", "5.4.4"), ("[nonsense]", "5.1.3"),
        ("[2001:db8::1]", "5.1.3"), ("[IPv6:198.51.100.1]", "5.1.3"), ("[198.51.100.1", "5.1.3"),
        ("[IPv6:fe80::1%1]", "5.1.3"), ("[]", "5.1.3"),
    ],
)  # fmt: skip
def test_an_address_literal_that_leads_nowhere_is_permanent(domain: str, enhanced: str) -> None:
    where = found({}, domain)
    assert (where.hops, where.code, where.enhanced) == ((), 550, enhanced)


def test_a_domain_in_unicode_is_asked_for_in_a_labels() -> None:
    zone = {"xn--bcher-kva.example": {"A": ["198.51.100.1"]}}
    assert hosts(found(zone, "Bücher.example")) == [("xn--bcher-kva.example", ("198.51.100.1",))]


@given(st.text(max_size=80))
def test_no_domain_makes_it_raise(domain: str) -> None:
    where = found({}, domain)
    assert where.code // 100 == 5 or where.hops


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from(["a", "b", "c", "me", "d"])), max_size=8
    ),
    st.integers(0, 99),
)
def test_whatever_the_records_are_no_host_is_behind_us(
    records: list[tuple[int, str]], seed: int
) -> None:
    zone = mx(*((p, "mail.corvus.local" if h == "me" else f"{h}.example") for p, h in records))
    where = found(zone, shuffle=random.Random(seed).shuffle)
    mine = min((p for p, h in records if h == "me"), default=99)
    assert all(hop.preference < mine for hop in where.hops)
    preferences = [hop.preference for hop in where.hops]
    assert preferences == sorted(preferences)


def test_a_relay_is_where_it_is_said_to_be() -> None:
    relay = Relay.parse("al%40x.example:p%3Aw%25@Relay.example:587")
    assert relay is not None
    assert (relay.host, relay.port, relay.user, relay.password) == (
        "relay.example", 587, "al@x.example", "p:w%",
    )  # fmt: skip
    assert "p:w" not in repr(relay)
    zone = {"relay.example": {"A": ["10.0.0.1"]}}
    where = run(relay.route(), ZoneResolver(zone))
    assert hosts(where) == [("relay.example", ("10.0.0.1",))]
    assert run(relay.route(), ZoneResolver({})).temporary
    assert Relay.parse("") is None


@pytest.mark.parametrize(
    "text", ["a:b:c:", "relay:0", "relay:65536", "relay:x", ":25", "u%00:p@h:1"]
)
def test_a_relay_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a relay is|IPv4 or IPv6"):
        Relay.parse(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("h", "h", 25), ("h:26", "h", 26), ("[::1]:27", "::1", 27), ("[::1]", "::1", 25)],
)
def test_the_port_of_a_relay_may_be_left_out(text: str, host: str, port: int) -> None:
    relay = Relay.parse(text)
    assert relay is not None
    assert (relay.host, relay.port) == (host, port)
