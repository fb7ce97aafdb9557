"""What crosses between the collector, which has the AMI links, and edges, which serve clients.

``api`` is what both sides see, and needs no library. ``redis_bus`` has it over Redis; only a
process with such a role imports that.
"""
