"""The live model: from what a server says to what is so there now. No I/O, no clock."""
