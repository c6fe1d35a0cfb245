"""Run by Alembic: brings the tables of a connection to the wanted version."""

from alembic import context

from calcilens.review.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
