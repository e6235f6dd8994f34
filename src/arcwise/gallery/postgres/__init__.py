"""Galleries on a PostgreSQL server with the extension pgvector; needs the client psycopg."""

from arcwise.gallery.postgres.store import PostgresGallery

__all__ = ["PostgresGallery"]
