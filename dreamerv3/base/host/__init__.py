"""The machine and job that we run on, and who else works in a folder."""
