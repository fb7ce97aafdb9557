"""A collector: it has the AMI links, and tells edges over the bus what they tell clients.

publishing.py  what servers say, and what changes of their state, as entries of streams
"""
