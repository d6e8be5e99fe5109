"""Names of campaigns in addresses: which a path can hold, and where the page of each is."""

from urllib.parse import quote, urlencode


def fits_path(name: str) -> bool:
    """Return whether a name that may hold slashes is safe in a path.

    Browsers and servers fold `.`, `..` and empty parts.
    """
    return not any(part in ("", ".", "..") for part in name.split("/"))


def campaign_url(
    name: str, experiment: str, view: str = "", *, kind: str = "campaigns", **words: str
) -> str:
    """Return the path of a campaign's page, or of a view of it.

    A name that a browser or server would fold as a path is in the query.
    """
    is_kept = fits_path(name)
    path = quote(f"/{kind}/{experiment}/{name if is_kept else '-'}{view}")
    query = urlencode({**({} if is_kept else {"campaign": name}), **words})
    return f"{path}?{query}" if query else path
