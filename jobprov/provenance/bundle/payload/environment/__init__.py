"""The environment in a bundle (`env/`): variables, host, products, packages, container."""
