"""Names of campaigns in addresses: which a path can hold, and where the page of each is."""

from urllib.parse import quote, urlencode


def fits_path(name: str) -> bool:
    """Return whether a name with slashes is safe in a path.

    Browsers and servers remove `.`, `..` and empty parts.
    """
    return not any(part in ("", ".", "..") for part in name.split("/"))


def campaign_url(
    name: str, experiment: str, view: str = "", *, kind: str = "campaigns", **words: str
) -> str:
    """Return the path of a campaign's page, or of a view of it.

    A name that a browser or server would change as part of a path is in the query instead.
    """
    query = words
    if not fits_path(name):
        query, name = {"campaign": name, **words}, "-"
    path = quote(f"/{kind}/{experiment}/{name}{view}")
    return f"{path}?{urlencode(query)}" if query else path
