"""The migrations of the store, run by Alembic (`env`), one file each in `versions`."""
