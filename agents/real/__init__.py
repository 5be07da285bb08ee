"""The real phone: what a leader is besides its window.

==================  ===========================================================================
module              what it is
==================  ===========================================================================
``agent``           one term: the bus, the line and the phone's mind, joined
``office``          what a term begins with
``line``            the connection to the phone service, whenever there can be one
``surroundings``    sleep and other networks, which end a connection without a word
``peers``           how each window and media host is reached
``obituary``        notices at once that a window's process has died
``farewell``        the polite end of a term
==================  ===========================================================================
"""

from .agent import RealAgent
from .office import Office, rehearse

__all__ = ["Office", "RealAgent", "rehearse"]
