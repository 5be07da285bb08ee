"""``python -m coordinator``: the demo, and everything else of the command line."""

import sys

from .command import main

sys.exit(main())
