"""What the server costs: records in, bytes at rest, answers out."""
