"""Hypothesis strategies for octets that have hurt mail software before."""

from __future__ import annotations

from hypothesis import strategies as st

#: Line ends and things that are mistaken for them (checklist rows 1 and 22).
LINE_ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\0"]

_TOKENS = [*LINE_ENDS, *(bytes([octet]) for octet in b'. \t{}+"\\()<>@:;=*%\xffa0')]
_TOKENS += [b"..", b"\xc3\xa4", b"99999999999"]

#: Any octets, but rich in line ends, dots, braces, quotes and 8-bit.
hostile_octets = st.lists(
    st.sampled_from(_TOKENS) | st.binary(max_size=20),
    max_size=60,
).map(b"".join)

#: Places at which to cut a wire; see `corvus_testing.properties.cut`.
cuts = st.lists(st.integers(min_value=0, max_value=1 << 20), max_size=30)
