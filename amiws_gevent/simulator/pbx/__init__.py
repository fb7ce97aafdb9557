"""Simulated PBXs that speak real AMI on loopback ports.

``server.SimulatedPbx`` is the server, ``simulation.Simulation`` the PBX behind it: pure, seeded,
with no socket and no clock. ``stories`` has the kinds of call that it makes, ``scenarios`` whole
calls with their names, of which ``repertoire`` plays those that are asked for. What they send has
the headers, the order and the quirks of the recorded Asterisk 13.38 and 22.11 sessions.
"""
