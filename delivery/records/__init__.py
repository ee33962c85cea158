"""Records: every SQL statement of Postroom. No other package imports SQLAlchemy, psycopg or Alembic.

Functions take an open `Connection` first and never commit. Their callers open and commit with `records/database.py`.
"""
