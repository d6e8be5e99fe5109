"""A workflow of two stages, and how its first three jobs end.

Unit 0 is done, units 1 and 2 failed for good.
"""

import hashlib
import uuid
from typing import Any

from flask.testing import FlaskClient

TEXT = """
name = "toy"
experiment = "nova"
campaign = "spring"
[[stage]]
name = "gen"
count = 3
command = ["sh", "gen.sh", "{unit}", "{output}"]
outputs = ["g{unit}.root"]
ships = ["gen.sh"]
[[stage]]
name = "reco"
after = "gen"
command = ["reco", "{input}"]
outputs = ["{stem}.reco"]
"""


SCRIPT = b"echo $1 > $2\n"


SHA256 = hashlib.sha256(SCRIPT).hexdigest()


def declare(client: FlaskClient, text: str = TEXT, **headers: str) -> Any:
    client.put(f"/api/v1/blobs/{SHA256}", data=SCRIPT, headers=headers)
    return client.put(
        "/api/v1/workflows/toy", json={"text": text, "files": {"gen.sh": SHA256}}, headers=headers
    )


def a_job(unit: str, state: str, *, code: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "job_id": str(uuid.uuid4()),
        "experiment": "nova",
        "state": state,
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:01:00Z",
        "task": {"task_id": "toy-v1-gen", "campaign": "spring", "stage": "gen", "unit": unit},
        "exit": {"code": code},
        **more,
    }


def launch(client: FlaskClient) -> None:
    """Launch it, and let its first three jobs end so."""
    assert declare(client).status_code == 201
    client.post("/api/v1/workflows/toy/advance")
    taken = client.post(
        "/api/v1/orders/take", json={"experiment": "nova", "holder": "agent"}
    ).get_json()["orders"]
    assert [order["unit"] for order in taken] == ["0", "1", "2"]
    placed = [
        {"order_id": order["order_id"], "batch_id": f"1.{order['unit']}@s"} for order in taken
    ]
    outputs = [
        {"name": "g0.root", "status": "written", "size_bytes": 1, "checksums": ["adler32:00000001"]}
    ]
    jobs = [
        a_job("0", "succeeded", outputs=outputs),
        a_job("1", "failed", code=77),
        a_job("2", "failed", code=78),
    ]
    for job in jobs:
        assert client.put(f"/api/v1/jobs/{job['job_id']}", json=job).status_code == 201
    ended = [
        {"order_id": order["order_id"], "exit_code": job["exit"]["code"]}
        for order, job in zip(taken, jobs, strict=True)
    ]
    report = {"experiment": "nova", "placed": placed, "ended": ended}
    assert client.post("/api/v1/orders/report", json=report).get_json() == {"placed": 3, "ended": 3}
