"""Intake: what a client sent, read strictly, or every fault in it. HTTP, direct sends and the desk share it."""
