"""Logs that were kept elsewhere, as records of ours: a reader a format, one way from there to lines.

`read_items` takes a file apart, a format makes an `Imported` of an item or says why it cannot, `lines_of` makes its
lines. An id is made of the source's own, so that what is imported twice is there once.
"""
