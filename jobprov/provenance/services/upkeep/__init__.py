"""The archive and the database kept sound: sealing, checking, backup, rebuilding."""
