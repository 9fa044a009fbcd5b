"""``python -m corvus_dkim`` is the command ``corvus-dkim``."""

from __future__ import annotations

import sys

from corvus_dkim.cli import main

if __name__ == "__main__":
    sys.exit(main())
