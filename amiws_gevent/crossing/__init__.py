"""What crosses from collectors to edges, and what they are asked: plain data as bytes.

streams.py  names of the streams and leases, and which servers there are
codec.py    entries of a server's stream, and its snapshot
tail.py     where a stream stands, for the collector that goes on with it
calls.py    what collectors are asked, and what they answer
records.py  the last records of all collectors' audits as one list
"""
