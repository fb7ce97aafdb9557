"""The AMI protocol: bytes in, messages out. No I/O."""
