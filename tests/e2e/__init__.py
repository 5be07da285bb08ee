"""End-to-end tests: real sockets, processes, files and sound."""
