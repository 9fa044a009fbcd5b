"""Save the attachments of a message: message_attachments.py FOLDER < message."""

import sys
from pathlib import Path

from corvus_message import parse, safe_filename


def save(raw: bytes, folder: Path) -> list[Path]:
    """Write every attachment of *raw* into *folder*, under names that exist only once."""
    saved: list[Path] = []
    for number, part in enumerate(parse(raw).attachments(), 1):
        name = safe_filename(part.filename, default=f"part-{number}")
        path = folder / name
        while path.exists():
            path = folder / f"{number}-{path.name}"
        with path.open("xb") as file:
            for chunk in part.chunks():
                file.write(chunk)
        saved.append(path)
    return saved


if __name__ == "__main__":
    for path in save(sys.stdin.buffer.read(), Path(sys.argv[1])):
        print(path)
