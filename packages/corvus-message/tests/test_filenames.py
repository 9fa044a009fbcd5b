"""Names that may come near a file system."""

from __future__ import annotations

import pytest

from corvus_message import safe_filename


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\a\\b.txt", "b.txt"),
        ("/", "attachment"),
        ("..", "attachment"),
        ("", "attachment"),
        (None, "attachment"),
        (".htaccess", "htaccess"),
        ("a\r\nb\0c.txt", "abc.txt"),
        ("cod\u202etxt.exe", "codtxt.exe"),
        ("a\u200bb.txt", "ab.txt"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("console.txt", "console.txt"),
        ("a b  c .txt ", "a b c.txt"),
        ('a<b>:"|?*.txt', "ab.txt"),
        ("e\u0301.txt", "é.txt"),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
        ("no extension." + "y" * 40, "no extension." + "y" * 40),
        ("名" * 150 + ".pdf", "名" * 78 + ".pdf"),
    ],
)
def test_a_name_is_made_safe(name: str | None, wanted: str) -> None:
    assert safe_filename(name) == wanted


def test_the_default_may_be_chosen() -> None:
    assert safe_filename("///", default="part-2") == "part-2"
