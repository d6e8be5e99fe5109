"""Constant statements that go straight to the driver: run, composed once, for many keys or rows."""
