"""Configuration: layers of yaml and command line, and the table of every key."""
