"""What every other package may use: errors shown to a person, and files that are written whole or not at all."""
