"""When a silent TCP connection counts as broken: one set of times for both ends of every connection of ours.

A host that lost its power or its cable closes nothing. By the defaults of an operating system the other end waits for
hours and keeps what the connection held: in PostgreSQL the session of a worker with its advisory lock.
"""

IDLE_S = 5
"""After this silence the first probe is sent."""

INTERVAL_S = 5
"""The time between two probes."""

PROBES = 2
"""So many unanswered probes break the connection: 15 s after the last answer."""

UNACKNOWLEDGED_MS = 15_000
"""Sent data may wait so long for its acknowledgement; probes are not sent meanwhile."""
