"""The records: every SQL statement of Postroom. Nobody else knows that there is a database.

Functions take an open `Connection` first and never commit; `engine.py` says who opens and commits.
"""
