"""``python -m benchmarks.neteq``."""

import sys

from benchmarks.neteq.cli import main

if __name__ == "__main__":
    sys.exit(main())
