"""Serving AMI: what every simulated server does alike."""
