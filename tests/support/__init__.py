"""Peers and processes that the tests play against: no test itself lives here."""
