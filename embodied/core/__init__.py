"""Environment-side core: contracts, driver, replay, streams, clocks."""
