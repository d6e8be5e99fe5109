"""A service that meets faults under load, again and again, and what has to be left of it.

`load` sends and notes what was acknowledged, `scene` is a service with its folder, its disk and its
database, `faults` has a class for each fault, `checks` says what has to hold, `rounds` puts them
together.
"""
