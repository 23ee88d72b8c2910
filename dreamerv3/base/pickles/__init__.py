"""How a pickle is followed without calling anything in it; see `base.unpickle`."""
