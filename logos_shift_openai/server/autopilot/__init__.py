"""The autopilot of each dataset.

`keeping` has its rows, `facts` reads what is known, `acts` does what was decided, `running` takes the turn. What is
decided is `core.autopilot`'s alone.
"""
