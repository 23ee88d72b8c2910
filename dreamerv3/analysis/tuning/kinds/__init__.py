"""What kinds of maps are there? Units grouped by how their maps repeat themselves."""
