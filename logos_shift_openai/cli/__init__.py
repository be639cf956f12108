"""The command line `logos-shift`: one file per noun, each calling the functions of `server`.

Nothing heavy is imported at the start: each command imports what it works with.
"""
