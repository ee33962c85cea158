"""The worker runtime: worker processes and their threads, the embedded stack of `make up`, and the commands."""
