"""``python -m corvus_server`` is ``corvus``."""

from corvus_server.cli import main

main()
