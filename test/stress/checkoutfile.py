"""Nothing but checkouts, without pauses, of orders that `init_orders.py` has made: each once.

    python3 init_orders.py --orders 100000
    ORDERS=100000 locust -f checkoutfile.py --headless --users 50 --spawn-rate 50 --run-time 1m

Of several workers, WORKERS says how many: each takes its share of the orders. Users end when there are no more.
"""

import os

from gateway import gateway_url
from locust import HttpUser, constant, events, task
from locust.exception import StopUser

_left = iter(())


@events.test_start.add_listener
def share_out(environment, **_):
    """Also when a test is started anew in the browser. A master has no number, and no users."""
    global _left
    orders, workers = int(os.environ.get("ORDERS", 100_000)), int(os.environ.get("WORKERS", 1))
    _left = iter(range(getattr(environment.runner, "worker_index", 0), orders, workers))


class ChecksOut(HttpUser):
    host = gateway_url()
    wait_time = constant(0)

    @task
    def check_out(self):
        order = next(_left, None)
        if order is None:
            raise StopUser
        self.client.post(f"/orders/checkout/{order}", name="/orders/checkout/[order]")
