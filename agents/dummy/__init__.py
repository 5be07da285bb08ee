"""The dummy phone: what every window is, the leader's own as well.

==================  ===========================================================================
module              what it is
==================  ===========================================================================
``agent``           shows the leader's state, and forwards actions
``pending``         the actions that wait for their answer
``succession``      whom a window listens to besides the leader: its heir
==================  ===========================================================================
"""

from .agent import DummyAgent, calm

__all__ = ["DummyAgent", "calm"]
