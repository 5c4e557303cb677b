"""``python -m softphone``."""

import sys

from softphone.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
