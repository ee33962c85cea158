"""Tests of the repository itself: names, sizes, imports, prose, and what has to agree with what."""
