"""``python -m coordinator``: the demo, and everything else of the command line."""

import sys

from .cli import main

sys.exit(main())
