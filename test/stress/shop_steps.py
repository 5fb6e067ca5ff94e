"""The single steps of the scenarios: each is one request of a simulated user, or two where one needs the answer of the other.

Older clients write amounts with all their digits, such as 7.2334981, and add items without a number; newer ones write whole
amounts and a number. A scenario is played in the one way or the other.
"""

import random

from locust import SequentialTaskSet


class Scenario(SequentialTaskSet):
    """What one run through a scenario has made so far. It ends at the first failure, and with its last step."""

    def on_start(self):
        self.items = []
        self.buyer = self.order = None
        # What a list has shown last, and where it goes on.
        self.listed, self.cursor = [], None
        self.is_of_older_client = random.random() < 0.5

    # Requests

    def ask(
        self, method: str, path: str, name: str, is_to_be_refused: bool = False, body: dict = None, wanted: dict = None
    ) -> dict:
        """Fails unless the answer is a 2xx with the members that are wanted, or a 4xx where the request is to be refused."""
        with self.client.request(method, path, name=name, json=body, catch_response=True) as answer:
            if is_to_be_refused and not 400 <= answer.status_code < 500:
                answer.failure(f"{answer.status_code}, and should have been refused")
            elif not is_to_be_refused and not 200 <= answer.status_code < 300:
                answer.failure(f"{answer.status_code} {answer.text or answer.error}")
            else:
                found = answer.json() if answer.text.startswith("{") else {}
                wrong = {key: found.get(key) for key, value in (wanted or {}).items() if found.get(key) != value}
                if not wrong:
                    answer.success()
                    return found
                answer.failure(f"{wrong}, and should be {wanted}")
        # After a pause, or a shop that is down would get as many requests as there is time for.
        self.interrupt(reschedule=False)

    def amount(self, least: int, most: int) -> str:
        return f"{random.uniform(least, most):.7f}" if self.is_of_older_client else str(random.randint(least, most))

    def check_out(self, is_to_be_refused: bool = False):
        self.ask("POST", f"/orders/checkout/{self.order}", "/orders/checkout/[order]", is_to_be_refused)

    def add(self, item: str, is_to_be_refused: bool = False):
        number, name = ("", "") if self.is_of_older_client else ("/1", "/[number]")
        path = f"/orders/addItem/{self.order}/{item}{number}"
        self.ask("POST", path, f"/orders/addItem/[order]/[item]{name}", is_to_be_refused)

    def ask_order(self, method: str, what: str = "", **options) -> dict:
        """Of /v1."""
        return self.ask(method, f"/v1/orders/{self.order}{what}", f"/v1/orders/[order]{what}", **options)

    def browse(self, path: str, cursor: str = None):
        """One page of a list of /v1."""
        name = f"{path}&cursor=[cursor]" if cursor else path
        page = self.ask("GET", f"{path}&cursor={cursor}" if cursor else path, name)
        known = {entry["id"] for entry in self.listed} if cursor else set()
        self.listed, self.cursor = page["data"], page["next_cursor"]
        # Locust counts it, and ends with 1.
        if twice := [entry["id"] for entry in self.listed if entry["id"] in known]:
            raise AssertionError(f"listed again behind a cursor of {path}: {twice}")


# The steps

def create_item(scenario: Scenario):
    answer = scenario.ask("POST", f"/stock/item/create/{scenario.amount(1, 10)}", "/stock/item/create/[price]")
    scenario.items.append(answer["item_id"])


def put_into_stock(scenario: Scenario):
    """Of the item that was created last."""
    units = random.randint(100, 1_000)
    scenario.ask("POST", f"/stock/add/{scenario.items[-1]}/{units}", "/stock/add/[item]/[number]")


def create_buyer(scenario: Scenario):
    scenario.buyer = scenario.ask("POST", "/payment/create_user", "/payment/create_user")["user_id"]


def give_credit(scenario: Scenario):
    amount = scenario.amount(10_000, 100_000)
    scenario.ask("POST", f"/payment/add_funds/{scenario.buyer}/{amount}", "/payment/add_funds/[user]/[amount]")


def create_order(scenario: Scenario):
    scenario.order = scenario.ask("POST", f"/orders/create/{scenario.buyer}", "/orders/create/[user]")["order_id"]


def add_first_item(scenario: Scenario):
    scenario.add(scenario.items[0])


def add_second_item(scenario: Scenario):
    scenario.add(scenario.items[1])


def remove_first_item(scenario: Scenario):
    path = f"/orders/removeItem/{scenario.order}/{scenario.items[0]}"
    scenario.ask("DELETE", path, "/orders/removeItem/[order]/[item]")


def sell_out_second_item(scenario: Scenario):
    item = scenario.items[1]
    units = scenario.ask("GET", f"/stock/find/{item}", "/stock/find/[item]")["stock"]
    scenario.ask("POST", f"/stock/subtract/{item}/{units}", "/stock/subtract/[item]/[number]")


def check_out(scenario: Scenario):
    scenario.check_out()


def check_out_in_vain(scenario: Scenario):
    scenario.check_out(is_to_be_refused=True)


# The steps of /v1

def reserve(scenario: Scenario):
    scenario.ask_order("POST", "/reservation", body={"seconds": 600})


def look_at_reserved_item(scenario: Scenario):
    scenario.ask("GET", f"/v1/items/{scenario.items[0]}", "/v1/items/[item]", wanted={"held": 1})


def give_reservation_back(scenario: Scenario):
    scenario.ask_order("DELETE", "/reservation", wanted={"state": "open", "reserved_until": None})


def add_to_reserved_order_in_vain(scenario: Scenario):
    scenario.add(scenario.items[0], is_to_be_refused=True)


def check_out_reserved_order(scenario: Scenario):
    scenario.ask_order("POST", "/checkout", wanted={"state": "paid"})


def refund_first_item(scenario: Scenario):
    scenario.ask_order("POST", "/refunds", body={"lines": [{"item_id": scenario.items[0], "units": 1}]}, wanted={"restock": True})


def look_at_refunded_part(scenario: Scenario):
    scenario.ask_order("GET", wanted={"state": "partly_refunded"})


def refund_the_rest(scenario: Scenario):
    """It was spoiled, and is not sold again."""
    scenario.ask_order("POST", "/refunds", body={"restock": False, "reason": "spoiled"}, wanted={"restock": False})


def refund_in_vain(scenario: Scenario):
    """All was given back."""
    scenario.ask_order("POST", "/refunds", is_to_be_refused=True)


def browse_items(scenario: Scenario):
    scenario.browse("/v1/items?limit=20")


def browse_more_items(scenario: Scenario):
    """The next page, or the first one again."""
    scenario.browse("/v1/items?limit=20", scenario.cursor)


def browse_users(scenario: Scenario):
    scenario.browse("/v1/users?limit=20")


def browse_paid_orders(scenario: Scenario):
    scenario.browse("/v1/orders?state=paid&limit=20")


def look_at_listed_order(scenario: Scenario):
    """If there was one."""
    if scenario.listed:
        scenario.order = random.choice(scenario.listed)["id"]
        scenario.ask_order("GET", wanted={"id": scenario.order})


def begin_another(scenario: Scenario):
    """The next scenario is drawn by its weight."""
    scenario.interrupt()
