"""Who leads: the part of a process that stands for election, and runs the real phone while it leads.

==================  ===========================================================================
module              what it is
==================  ===========================================================================
``keeper``          the phone thread: the lease, the election, the term
``candidacy``       what a process brings to the election
``readiness``       what an heir has ready before its leader dies
``descriptors``     room for the files that it will open
``bequest``         what a leader would leave behind
``standing``        tells the keeper its window's place in the line of succession
==================  ===========================================================================
"""

from .candidacy import Candidacy
from .keeper import Keeper
from .standing import Standing

__all__ = ["Candidacy", "Keeper", "Standing"]
