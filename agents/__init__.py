"""One module per kind of process, and what they are made of: the protocols, the sound, the simulated service."""
