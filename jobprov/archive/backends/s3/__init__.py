"""The archive in a bucket of S3."""
