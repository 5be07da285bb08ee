"""``python -m agents.pbx --dir DIR``: run the simulated phone service."""

import sys

from .main import main

sys.exit(main())
