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
        self.is_of_older_client = random.random() < 0.5

    # Requests

    def ask(self, method: str, path: str, name: str, is_to_be_refused: bool = False) -> dict:
        """Fails unless the answer is a 2xx, or a 4xx where the request is to be refused."""
        with self.client.request(method, path, name=name, catch_response=True) as answer:
            if is_to_be_refused and not 400 <= answer.status_code < 500:
                answer.failure(f"{answer.status_code}, and should have been refused")
            elif not is_to_be_refused and not 200 <= answer.status_code < 300:
                answer.failure(f"{answer.status_code} {answer.text or answer.error}")
            else:
                answer.success()
                return answer.json() if answer.text.startswith("{") else {}
        # After a pause, or a shop that is down would get as many requests as there is time for.
        self.interrupt(reschedule=False)

    def amount(self, least: int, most: int) -> str:
        return f"{random.uniform(least, most):.7f}" if self.is_of_older_client else str(random.randint(least, most))

    def check_out(self, is_to_be_refused: bool = False):
        self.ask("POST", f"/orders/checkout/{self.order}", "/orders/checkout/[order]", is_to_be_refused)

    def add(self, item: str):
        number, name = ("", "") if self.is_of_older_client else ("/1", "/[number]")
        self.ask("POST", f"/orders/addItem/{self.order}/{item}{number}", f"/orders/addItem/[order]/[item]{name}")


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


def begin_another(scenario: Scenario):
    """The next scenario is drawn by its weight."""
    scenario.interrupt()
