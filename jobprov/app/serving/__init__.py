"""The server: gunicorn's threads, and around them what collects requests and sends answers."""
