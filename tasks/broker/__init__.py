"""Everything that the steps do with Redis: bells, direct sends, and the depth of queues."""
