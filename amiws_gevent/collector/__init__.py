"""A collector: it has AMI links, and tells edges over the bus what they tell clients.

holding.py     which leases it holds: what it is connected to, and which streams it tells
publishing.py  what servers say, and what changes of their state, as entries of streams
program.py     what collectors tell each other of their servers
answering.py   what edges and other collectors ask
actions.py     what holds the actions of edges' clients back
facilities.py  what plugins have of it
"""
