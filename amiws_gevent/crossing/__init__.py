"""What crosses from the collector to edges, and what they ask it: plain data as bytes.

streams.py  names of the streams, and which servers there are
codec.py    entries of a server's stream, and its snapshot
calls.py    what an edge asks the collector, and what that answers
"""
