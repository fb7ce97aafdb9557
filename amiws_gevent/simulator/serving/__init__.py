"""Serving AMI: what every simulated server does alike.

``requests`` cuts what clients send into actions and writes answers, ``session`` is one client's
session without a socket, ``listener`` has the sockets. A server brings a subclass of ``Session``
that carries actions out, and gives ``Listener`` a function that makes one for each connection.
"""
