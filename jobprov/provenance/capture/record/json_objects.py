"""Names for the JSON objects that the hook handles, for annotations.

All are plain dictionaries: Python 3.6 has no typed ones, and what is not known is left out. Which
fields they have is in docs/reference/record.md. This module is not in the packed hook, which has no
annotations.
"""

from typing import Any, Dict

JsonObject = Dict[str, Any]
"""Any object: a part of a record, metadata, settings."""
Record = Dict[str, Any]
"""A whole record, in the making or as it lies in a spool."""
Entry = Dict[str, Any]
"""An element of one of a record's lists: a file, a checkout, a script, a step, a product."""
Finding = Dict[str, Any]
"""Why something failed, or where: `category`, `message` and the fields of `logs.art_failure`."""
ClassAd = Dict[str, Any]
"""Attributes of a job or machine, as HTCondor has them."""
Answer = Dict[str, Any]
"""What the service answered."""
