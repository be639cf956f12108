"""Datasets and editions: from the calls of one use case to a frozen, split training set.

The way: `choosing` says what is wanted, `reading` gives calls with their corrections, `examples` makes lines of them
or says why not, `duplicates` leaves out what is there already, `building` writes both splits, `keeping` makes them
visible.
"""
