"""How long a decoded position outlasts sight."""
