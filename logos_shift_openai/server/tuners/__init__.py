"""Tuners: from an edition to a model that may become a candidate.

Each tuner keeps the protocol in `protocol`; `machine` moves a job through its states, `jobs` keeps it in the store.
"""
