"""How do the tasks talk to Redis? Bells, direct sends, and the depth of queues."""
