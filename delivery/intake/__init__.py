"""Intake: read what a client sent, strictly, or find every fault in it. HTTP and direct sends share it."""
