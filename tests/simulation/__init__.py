"""A whole group in one thread and in virtual time: the real code above its sockets, under faults from a seed.

What is real: the phone's core, the election, the replica, and the shells around them (real agent, dummy
agent, keeper, the bus' sockets). What is modelled: ZeroMQ's pipes, the lease's files, the connection to the
service, the service itself, and media hosts that answer at once. Processes crash at any message that they
send, stop and go on; connections break; messages are late, lost, doubled and out of order.

Every run ends in the same checker that judges real ones. ``python -m tests.simulation --seed N`` repeats one.
"""
