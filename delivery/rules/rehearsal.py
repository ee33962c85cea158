"""The clients of the rehearsal: the cases that `make up` makes, for people who try the desk."""

from uuid import UUID

REHEARSAL = UUID("51520000-0000-4000-8000-000000000001")
REHEARSAL_WATCHED = UUID("51520000-0000-4000-8000-000000000002")
"""A client whose messages staff all look at."""
REHEARSAL_CLIENTS = (REHEARSAL, REHEARSAL_WATCHED)
"""What staff decide about their messages says nothing about a rule."""
