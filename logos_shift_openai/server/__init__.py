"""The room of the store: what is kept of calls and feedback, and what is made of it.

The CLI calls these functions on the embedded store; it imports `core`, never `client`.
"""
