"""The crew of a benchmark: not for people, see :mod:`.crew`."""

from .crew import main

if __name__ == "__main__":
    main()
