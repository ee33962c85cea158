"""Tests of what needs no network, no database and no waiting."""
