"""Alembic's way in: it runs this over the connection that the coordinator opened."""

from alembic import context

from p2c2g.coordinator.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
