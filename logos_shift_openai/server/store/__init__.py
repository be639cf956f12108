"""The store: tables, their opening, and the way of a record into rows and back.

Only SQLAlchemy Core is spoken here, so that another engine takes the same statements.
"""
