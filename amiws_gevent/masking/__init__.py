"""How callers' numbers and names are found and masked; for roles, and for the plugin `mask`."""
