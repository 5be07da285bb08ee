"""Measures the simulated service: how many calls it carries, and what a thousand of them leave behind.

``python -m agents.pbx.bench`` runs a service in a process of its own, and phones in this one. The phones send
Opus that was encoded before, and decode nothing, so that they need little of the machine; all else is real.
"""
