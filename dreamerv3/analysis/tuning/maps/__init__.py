"""Measures of one unit's map: fields, borders, grids, information, facing."""
