"""Code of jobs: repositories, products, and the commits that refs and versions meant."""
