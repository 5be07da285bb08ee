"""Real processes that are killed, stopped, starved and fed rubbish; each run is judged by the checker.

The counts are small here. ``make chaos`` sets ``CHAOS_SCALE``, by which they are multiplied.
"""

import os

SCALE = float(os.environ.get("CHAOS_SCALE", "1"))


def times(count: int) -> int:
    """Return how often to do something that ``make test`` does ``count`` times."""
    return max(round(count * SCALE), 1)
