"""One module per kind of process, and what they are made of: protocols, sound, the simulated service."""
