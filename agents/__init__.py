"""One module for each kind of process, and what they are made of: bus, SIP, media, the simulated service."""
