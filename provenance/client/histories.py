"""Questions to the history of files: one method a call."""

from collections.abc import Iterator
from typing import Any

from jobprov.provenance.answers.histories import FileCost
from jobprov.provenance.client.transport import Transport, part


class Histories(Transport):
    """What made files, and what was made of them."""

    def divergence(self, before: str, after: str, **experiments: str | None) -> dict[str, Any]:
        """Return where the histories of two files part.

        `experiment` is of both, `experiment_a` and `experiment_b` of one.
        """
        return self._read("/lineage/diverge", a=before, b=after, **experiments)

    def lineage(self, name: str, **query: Any) -> dict[str, Any]:
        """Return the graph around a file; the query is that of `GET /files/{name}/lineage`."""
        return self._read(f"/files/{part(name)}/lineage", **query)

    def lineage_text(self, name: str, form: str, **query: Any) -> str:
        """Return the graph around a file as `text`, `dot`, `svg`, `prov-json` or `prov-n`."""
        return self._call(
            "GET", f"/files/{part(name)}/lineage", params={**query, "format": form}
        ).content.decode()

    def rebuild_plan(self, name: str, **query: Any) -> dict[str, Any]:
        """Return what makes a lost file again; the query is that of `GET /files/{name}/rebuild`."""
        return self._read(f"/files/{part(name)}/rebuild", **query)

    def ancestors(self, name: str, **query: Any) -> dict[str, Any]:
        """Return every file that a file was made from.

        The query is that of `GET /files/{name}/ancestors`.
        """
        return self._read(f"/files/{part(name)}/ancestors", **query)

    def descendants(self, name: str, **query: Any) -> dict[str, Any]:
        """Return every file that was made from a file.

        The query is that of `GET /files/{name}/descendants`.
        """
        return self._read(f"/files/{part(name)}/descendants", **query)

    def roots(self, name: str, **query: Any) -> dict[str, Any]:
        """Return the files that a file goes back to.

        The query is that of `GET /files/{name}/roots`.
        """
        return self._read(f"/files/{part(name)}/roots", **query)

    def leaves(self, name: str, **query: Any) -> dict[str, Any]:
        """Return the files that came of a file and of which nothing was made.

        The query is that of `GET /files/{name}/leaves`.
        """
        return self._read(f"/files/{part(name)}/leaves", **query)

    def cost(self, name: str, **query: Any) -> FileCost:
        """Return what it took to make a file; the query is that of `GET /files/{name}/cost`."""
        return self._ask(FileCost, f"/files/{part(name)}/cost", **query)

    def orphans(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the files that somebody names and no recorded job made, page by page."""
        return self._rows("/lineage/orphans", "files", **query)

    def paths(self, a: str, b: str, **query: Any) -> dict[str, Any]:
        """Return the ways between two files; the query is that of `GET /lineage/paths`."""
        return self._read("/lineage/paths", a=a, b=b, **query)

    def common_ancestors(self, a: str, b: str, **query: Any) -> dict[str, Any]:
        """Return what two files were both made from; the query is that of `GET /lineage/common`."""
        return self._read("/lineage/common", a=a, b=b, **query)

    def impact(self, **query: Any) -> dict[str, Any]:
        """Return what some jobs made and all that was made from it.

        The query is that of `GET /lineage/impact`.
        """
        return self._read("/lineage/impact", **query)

    def impact_lines(self, form: str, **query: Any) -> Iterator[bytes]:
        """Yield every file that is touched, as lines of `csv` or `ndjson`."""
        answer = self._call("GET", "/lineage/impact", params={**query, "format": form}, stream=True)
        with answer:
            yield from answer.iter_lines()
