"""Simulated PBXs that speak real AMI."""
