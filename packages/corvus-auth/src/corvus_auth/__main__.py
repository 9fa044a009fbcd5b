"""``python -m corvus_auth`` is ``corvus-auth``."""

import sys

from corvus_auth.cli import main

if __name__ == "__main__":
    sys.exit(main())
