"""Telling people: what was decided is put into an outbox with the decision, and brought to the channels they named.

`rules` says what is an event, `outbox` keeps events and deliveries, `channels` are read from the environment,
`delivery` is the background step; `webhook`, `slack`, `mail` and `console` each know one kind of channel, `posting` and
`dialing` the way there. The rule: an event is told at least once, under one id by which a receiver knows it again, or
the store says why it was given up.
"""
