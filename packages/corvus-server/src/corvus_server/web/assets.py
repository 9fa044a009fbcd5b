"""Scripts, styles and icons: read once, served from memory under a name that changes with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, final

from starlette.requests import Request
from starlette.responses import Response

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@final
class Assets:
    """All files of the folder; nothing else can be asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._held = {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path.suffix in _TYPES
        }
        digest = hashlib.blake2b(digest_size=6)
        for name, octets in self._held.items():
            digest.update(name.encode() + b"\0" + octets)
        self.version = digest.hexdigest()
        """Changes when a file does, so that browsers may keep them for ever."""

    def url(self, name: str) -> str:
        """Where to fetch *name*."""
        if name not in self._held:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    async def serve(self, request: Request) -> Response:
        name = request.path_params["name"]
        octets = self._held.get(name)
        if octets is None:
            return Response("There is no such file.", 404, media_type="text/plain")
        fresh = request.path_params["version"] == self.version
        age = "public, max-age=31536000, immutable" if fresh else "no-cache"
        return Response(
            octets, media_type=_TYPES[Path(name).suffix], headers={"cache-control": age}
        )
