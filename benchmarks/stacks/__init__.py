"""A trial of real programs: each is recorded, loses all that it brought, and runs again."""
