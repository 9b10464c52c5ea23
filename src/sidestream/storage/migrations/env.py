"""What Alembic runs: the migrations, on the connection it was given."""

from alembic import context

from sidestream.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # a migration that fails half-way leaves nothing behind
    render_as_batch=True,  # SQLite alters a table only by copying it
)
with context.begin_transaction():
    context.run_migrations()
