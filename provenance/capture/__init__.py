"""The job-end hook: Python 3.6, standard library alone; packed into job-end-hook.pyz."""
