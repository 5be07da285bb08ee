"""Pure tests: no socket, no process, no sleep. Those are in ``e2e``."""
