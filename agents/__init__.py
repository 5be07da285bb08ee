"""The kinds of process (a leader, a window, the service that is simulated), and what they are made of."""
