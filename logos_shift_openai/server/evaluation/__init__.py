"""The gate: a candidate answers an edition's held-out questions before any user sees it, and the report is kept.

`questions` reads what is asked, `asking` asks it by the process's own providers, `keeping` keeps answers and reports,
`running` does one evaluation and goes on where another process was killed.
"""
