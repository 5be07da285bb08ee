"""The group's wires: thin ZeroMQ shells, each the one owner of its socket.

==================  ======  ===============================================================
shell               socket  job
==================  ======  ===============================================================
``Publisher``       XPUB    the leader's snapshots, repeated at once to whoever subscribes
``Subscriber``      SUB     a window's ear: one frame, the newest (CONFLATE)
``ActionServer``    ROUTER  the leader's desk: requests in, replies and media commands out
``ActionClient``    DEALER  a window's or media host's line to that desk
``Post``                    all that a leader speaks from, bound before it leads
==================  ======  ===============================================================

A subscriber and a client belong to one epoch: a new leader means new sockets to new paths, so nothing that
was meant for one leader can be read by the next.
"""

from .action_client import ActionClient
from .action_server import ActionServer
from .post import Post
from .publisher import Publisher
from .subscriber import Subscriber

__all__ = ["ActionClient", "ActionServer", "Post", "Publisher", "Subscriber"]
