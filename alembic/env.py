"""What Alembic runs around the migration scripts: which database, which tables, whose turn."""

import sqlalchemy as sa
from alembic import context

from engine.settings import Settings
from engine.store import migrations
from engine.store.database import open_database
from engine.store.tables import metadata


def main() -> None:
    if context.is_offline_mode():
        context.configure(
            url="postgresql+psycopg://",
            target_metadata=metadata,
            version_table=migrations.VERSION_TABLE,
            literal_binds=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        return
    connection = context.config.attributes.get("connection")
    if connection is not None:  # migrations.upgrade, which holds the lock already
        migrate(connection)
        return
    settings = Settings()
    database = open_database(settings)
    try:
        with migrations.turn(database, settings.lock_timeout_seconds) as own:
            migrate(own)
    finally:
        database.dispose()


def migrate(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=migrations.VERSION_TABLE,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


main()
