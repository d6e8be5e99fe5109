"""Questions to the history of files: one method a call."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from jobprov.provenance.answers.catalogs.replicas import LocatedFiles
from jobprov.provenance.answers.histories.costs import FileCost
from jobprov.provenance.answers.histories.divergence import Divergence
from jobprov.provenance.answers.histories.ends import FileLeaves, FileRoots, Orphan, Orphans
from jobprov.provenance.answers.histories.impact import Impact
from jobprov.provenance.answers.histories.lineage import LineageGraph, LineageList
from jobprov.provenance.answers.histories.rebuilds import RebuildPlan
from jobprov.provenance.answers.histories.relations import CommonAncestors, FilePaths
from jobprov.provenance.client.transport import Transport, part


class Picture(NamedTuple):
    """A drawing; a notebook shows it, and `svg` is its text."""

    svg: str

    def _repr_svg_(self) -> str:
        """Return what a notebook shows."""
        return self.svg


class Histories(Transport):
    """What made files, and what was made of them."""

    def divergence(self, before: str, after: str, **experiments: str | None) -> Divergence:
        """Return where the histories of two files part.

        `experiment` is for both, `experiment_a` or `_b` for one.
        """
        return self._ask(Divergence, "/lineage/diverge", a=before, b=after, **experiments)

    def lineage(self, name: str, **query: Any) -> LineageGraph:
        """Return the graph around a file; the query is that of `GET /files/{name}/lineage`."""
        return self._ask(LineageGraph, f"/files/{part(name)}/lineage", **query)

    def lineage_text(self, name: str, form: str, **query: Any) -> str:
        """Return the graph around a file as `text`, `dot`, `svg`, `prov-json` or `prov-n`."""
        return self._text(f"/files/{part(name)}/lineage", **query, format=form)

    def lineage_picture(self, name: str, **query: Any) -> Picture:
        """Return the graph around a file as a picture, which a notebook shows by itself."""
        return Picture(self.lineage_text(name, "svg", **query))

    def rebuild_plan(self, name: str, **query: Any) -> RebuildPlan:
        """Return what makes a lost file again; the query is that of `GET /files/{name}/rebuild`."""
        return self._ask(RebuildPlan, f"/files/{part(name)}/rebuild", **query)

    def rebuild_replicas(self, name: str, **query: Any) -> LocatedFiles:
        """Return where the files are now that making a lost file again takes as they are."""
        return self._ask(LocatedFiles, f"/files/{part(name)}/rebuild/replicas", **query)

    def ancestors(self, name: str, **query: Any) -> LineageList:
        """Return all that a file was made from.

        The query is as in `GET /files/{name}/ancestors`.
        """
        return self._ask(LineageList, f"/files/{part(name)}/ancestors", **query)

    def descendants(self, name: str, **query: Any) -> LineageList:
        """Return all that was made from a file.

        The query is as in `GET /files/{name}/descendants`.
        """
        return self._ask(LineageList, f"/files/{part(name)}/descendants", **query)

    def roots(self, name: str, **query: Any) -> FileRoots:
        """Return what a file goes back to; the query is that of `GET /files/{name}/roots`."""
        return self._ask(FileRoots, f"/files/{part(name)}/roots", **query)

    def leaves(self, name: str, **query: Any) -> FileLeaves:
        """Return the final products of a file; the query is that of `GET /files/{name}/leaves`."""
        return self._ask(FileLeaves, f"/files/{part(name)}/leaves", **query)

    def cost(self, name: str, **query: Any) -> FileCost:
        """Return what it took to make a file; the query is that of `GET /files/{name}/cost`."""
        return self._ask(FileCost, f"/files/{part(name)}/cost", **query)

    def orphans(self, **query: Any) -> Iterator[Orphan]:
        """Yield the files that records or catalogs name and no recorded job made, page by page."""
        for page in self._pages(Orphans, "/lineage/orphans", **query):
            yield from page.files

    def paths(self, a: str, b: str, **query: Any) -> FilePaths:
        """Return the ways between two files; the query is that of `GET /lineage/paths`."""
        return self._ask(FilePaths, "/lineage/paths", a=a, b=b, **query)

    def common_ancestors(self, a: str, b: str, **query: Any) -> CommonAncestors:
        """Return what two files were both made from; the query is that of `GET /lineage/common`."""
        return self._ask(CommonAncestors, "/lineage/common", a=a, b=b, **query)

    def impact(self, **query: Any) -> Impact:
        """Return what is touched by some jobs; the query is that of `GET /lineage/impact`."""
        return self._ask(Impact, "/lineage/impact", **query)

    def impact_lines(self, form: str, **query: Any) -> Iterator[bytes]:
        """Yield every file that is touched, as lines of `csv` or `ndjson`."""
        query = {**query, "format": form}
        answer = self._marked("GET", "/lineage/impact", params=query, stream=True)
        with answer:
            yield from answer.iter_lines()
