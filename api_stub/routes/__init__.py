"""Which URLs are there? One file per subject, each with its router."""
