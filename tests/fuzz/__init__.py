"""Inputs that nobody thought of: coverage-guided fuzzing of everything that reads what a peer sent.

``python -m tests.fuzz TARGET [SECONDS]`` looks for an input that makes one of :mod:`.targets` raise, or take
more than a second. ``make fuzz`` does so for each in turn. It needs atheris, which has wheels for some
systems only; :mod:`tests.test_fuzz` gives the seeds to the targets everywhere.
"""
