"""Channels: the ways to reach a recipient over a network."""
