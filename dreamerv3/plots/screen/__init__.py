"""Windows on a screen."""
