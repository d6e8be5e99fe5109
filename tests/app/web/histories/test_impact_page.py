"""The page of impact: versions of one file, and contents that jobs read under one name."""

import re
from html import unescape

from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.records import a_record, file_entry


def words(client: FlaskClient, url: str) -> str:
    page = client.get(url)
    assert page.status_code == 200, page.text
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def test_versions_and_contents_of_one_name_are_told_apart(client: FlaskClient) -> None:
    for number in (1, 2):
        read, made = file_entry("calib.db", number), file_entry("reco.root", 10 + number)
        put_job(client, a_record(number, inputs=[read], outputs=[made]))

    impact = words(client, "/impact?reads=calib.db")
    of_one = words(client, "/impact?reads=calib.db&checksum=adler32:00000001")
    file = client.get("/files/calib.db").text

    assert "reco.root version 1" in impact
    assert "reco.root version 2" in impact
    assert "The files that jobs read under this name were not all the same." in impact
    assert "were not all the same" not in of_one
    assert "reco.root version 1" in words(client, "/files/calib.db")
    assert 'href="/impact?reads=calib.db&amp;file_experiment=nova' in file
    assert "Jobs read different contents as calib.db" in words(
        client, "/lineage/calib.db?direction=descendants"
    )


def test_files_that_meet_in_one_name_are_told_that_its_contents_differ(
    client: FlaskClient,
) -> None:
    """Both were made from files of one name, and perhaps from no file in common."""
    for number in (1, 2):
        read, made = file_entry("calib.db", number), file_entry(f"reco{number}.root", 10 + number)
        put_job(client, a_record(number, inputs=[read], outputs=[made]))

    pair = "a=reco1.root&b=reco2.root"
    common = client.get(f"/api/v1/lineage/common?{pair}").get_json()
    paths = client.get("/api/v1/lineage/paths?a=calib.db&b=reco1.root").get_json()

    assert [file["contents_differ"] for file in common["ancestors"]] == [True]
    assert paths["paths"][0]["nodes"][0]["contents_differ"] is True
    assert "jobs read different contents" in words(client, f"/relation?{pair}")
    assert "jobs read different contents" in words(client, "/roots/reco1.root")


def test_tasks_of_touched_files_lead_to_their_pages(client: FlaskClient) -> None:
    read, made = file_entry("calib.db", 1), file_entry("reco.root", 2)
    task = {"task_id": "reco+2026", "stage": "reco"}
    put_job(client, a_record(1, inputs=[read], outputs=[made], task=task))

    page = client.get("/impact?reads=calib.db").text
    [address] = re.findall(r'<a class="name" href="([^"]*)"\s*>reco\+2026</a>', page)

    assert client.get(unescape(address)).status_code == 200
