"""Values and decisions: no I/O, threads, clock or dice; the standard library only."""
