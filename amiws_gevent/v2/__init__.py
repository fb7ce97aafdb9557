"""The subprotocol ``amiws.v2``: what its messages are, and the session of each client.

docs/protocol.md is the specification; its tables and its schema are made from the models here.
"""
