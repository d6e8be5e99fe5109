"""Rounds: start the service, send, let a fault befall it, and look at what is left."""

from tests.endurance.checks import check_whole
from tests.endurance.faults.fault import Fault
from tests.endurance.load import send_again, sending, wait_for_more
from tests.endurance.scene import Scene

_STOP_SECONDS = 90.0


def run_round(scene: Scene, fault: Fault, times: int = 1) -> None:
    """Start a service, have the fault befall it under load, and check what is left.

    What was acknowledged before is sent again at first, and has to change nothing.

    Args:
        scene: the service, and what it acknowledged.
        fault: what befalls it.
        times: how often, where the service goes on afterwards.
    """
    live = scene.start(fault.environment(scene))
    try:
        send_again(live.url, scene.sent, scene.chance)
        seed = scene.chance.getrandbits(32)
        with fault.way(live.url) as url, sending(url, scene.sent, seed):
            wait_for_more(scene.sent)  # else the first moments fall before anything was taken
            for _ in range(times if fault.is_survived else 1):
                fault.strike(scene, live)
                if fault.is_survived:
                    wait_for_more(scene.sent)
    finally:
        live.stop(_STOP_SECONDS)
    service = scene.opened()
    check_whole(service, scene.sent)
    service.close()
