"""What a request line deserves: the HTTP contract as the fuzzer knows it, written down a second time.

A request may have several faults, and its answer must name one that it really has. So a verdict is a set of answers, each
a status with the end of the problem's type (`404/unknown-item`) or, where the type is open, the status alone. A request that
may change something is never sent as it is: the fuzzer sends it only cut off, or spoilt so that it must be refused.
"""

import re
from fractions import Fraction
from typing import NamedTuple

MALFORMED = "400/malformed-request"
UNKNOWN_ROUTE = "404/unknown-route"
WRONG_METHOD = "405/wrong-method"

READS = "GET", "HEAD"
# What any parser of HTTP knows. It may refuse others itself, and then the connection ends.
PLAIN_METHODS = (*READS, "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE")
LONGEST_TARGET = 2_048

# Method and path; in braces what an argument is.
ROUTES = [
    (("POST",), "stock/item/create/{price}"),
    (("GET",), "stock/find/{item}"),
    (("POST",), "stock/add/{item}/{units}"),
    (("POST",), "stock/subtract/{item}/{units}"),
    (("POST",), "stock/batch_init/{count}/{stock}/{price}"),
    (("POST",), "payment/create_user"),
    (("GET",), "payment/find_user/{user}"),
    (("POST",), "payment/add_funds/{user}/{money}"),
    (("POST",), "payment/pay/{user}/{money}"),
    (("POST",), "payment/pay/{user}/{reference}/{money}"),
    (("POST",), "payment/cancel/{user}/{reference}"),
    (("GET", "POST"), "payment/status/{user}/{reference}"),
    (("POST",), "payment/batch_init/{count}/{price}"),
    (("POST",), "orders/create/{user}"),
    (("POST",), "orders/addItem/{order}/{item}/{units}"),
    (("POST",), "orders/addItem/{order}/{item}"),
    (("DELETE",), "orders/removeItem/{order}/{reference}"),
    (("DELETE",), "orders/remove/{order}"),
    (("GET",), "orders/find/{order}"),
    (("POST",), "orders/checkout/{order}"),
    (("POST",), "orders/batch_init/{count}/{candidates}/{candidates}/{price}"),
    (("GET",), "orders/explain/{order}"),
    (("GET",), "health/live"),
    (("GET",), "health/ready"),
]
# Pages that a listener may have or not have: any of these answers will do.
OPTIONAL_PATHS = {"openapi.json": {"200", UNKNOWN_ROUTE}, "metrics": {"200", UNKNOWN_ROUTE}, "docs": {"200", UNKNOWN_ROUTE}}


class Verdict(NamedTuple):
    """What may be answered; whether the request could change something; whether the server may hang up behind it."""

    accepts: frozenset
    may_change: bool
    may_end: bool


class Known(NamedTuple):
    """What is in the shop: items with their stock, users with their hundredths, orders with their state and lines."""

    items: dict
    users: dict
    orders: dict


def verdict(method: str, target: bytes, known: Known) -> Verdict:
    accepts, may_change = _routed(method, target, known)
    is_odd = not re.fullmatch(rb"(?:/|[A-Za-z][A-Za-z0-9+.-]*://[^/?]*/)[!$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*", target)
    may_end = is_odd or method not in PLAIN_METHODS or len(target) > LONGEST_TARGET
    if is_odd:
        accepts = accepts | {"400"}
    if method not in PLAIN_METHODS:
        accepts = accepts | {"400", "501"}
    return Verdict(frozenset(accepts), may_change, may_end)


def _routed(method: str, target: bytes, known: Known):
    if len(target) > LONGEST_TARGET:
        return {"414"} | ({"400", "431"} if len(target) > 8_000 else set()), False
    if re.fullmatch(rb"(?:/|[A-Za-z][A-Za-z0-9+.-]*://[^/?]+/?)(?:\?.*)?", target, re.DOTALL):
        # It leads to the documentation.
        return {"302" if method in READS else WRONG_METHOD}, False
    found = re.match(rb"(?:/|[A-Za-z][A-Za-z0-9+.-]*://[^/?]*/)([^?]*)", target)
    if not found:
        return {UNKNOWN_ROUTE, "400"}, False
    raw = found[1].split(b"/")
    faults = set()
    if any(re.search(rb"%(?![0-9A-Fa-f]{2})", segment) for segment in raw):
        faults.add(MALFORMED)
    segments = [_decoded(segment) for segment in raw]
    if (optional := OPTIONAL_PATHS.get(found[1].decode("latin-1"))) is not None:
        return faults | optional | (set() if method in READS else {WRONG_METHOD}), False
    route = None if b"" in raw else _route(segments)
    if route is None:
        return faults | {UNKNOWN_ROUTE}, False
    methods, kinds = route
    if ("GET" if method == "HEAD" else method) not in methods:
        faults.add(WRONG_METHOD)
    arguments = [(kind, segment) for kind, segment in zip(kinds, segments) if kind]
    is_certain = bool(faults)
    for kind, text in arguments:
        is_valid = _is_valid(kind, text)
        if is_valid is not True:
            faults.add(MALFORMED)
        is_certain |= is_valid is False
        if is_valid and kind in ("item", "user", "order") and text.decode() not in _of_kind(kind, known):
            faults.add(f"404/unknown-{kind}")
            is_certain = True
        if kind == "order" and methods != ("GET",) and segments[1] != b"checkout" and _is_paid(text, known):
            faults.add("409/order-paid")
            is_certain = True
    if is_certain:
        return faults, False
    accepts, may_change = _outcome(segments, arguments, method, known)
    return faults | accepts, may_change


def _is_paid(order: bytes, known: Known) -> bool:
    return known.orders.get(order.decode("latin-1"), {}).get("state") == "paid"


def _of_kind(kind: str, known: Known) -> dict:
    return {"item": known.items, "user": known.users, "order": known.orders}[kind]


def _decoded(segment: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), segment)


def _route(segments):
    """The methods, and for each segment the kind of argument that it is."""
    for methods, template in ROUTES:
        parts = template.split("/")
        if len(parts) == len(segments):
            kinds = [part[1:-1] if part[0] == "{" else None for part in parts]
            if all(kind or part.encode() == segment for part, kind, segment in zip(parts, kinds, segments)):
                return methods, kinds
    return None


def _is_valid(kind: str, text: bytes):
    """None where the contract leaves it open, such as very many leading zeros."""
    if kind in ("item", "user", "order", "reference"):
        return re.fullmatch(rb"[A-Za-z0-9_.~-]{1,64}", text) is not None
    if kind in ("price", "money"):
        return _is_money(text, least=0 if kind == "price" else 1)
    if not re.fullmatch(rb"[0-9]+", text):
        return False
    least, most = {"count": (1, 10**6), "stock": (0, 10**9)}.get(kind, (1, 10**9))
    return (True if len(text) <= 18 else None) if least <= int(text) <= most else False


def _is_money(text: bytes, least: int):
    found = re.fullmatch(rb"([0-9]+)(?:\.([0-9]+))?", text)
    if not found:
        return False
    if not least <= money_hundredths(text) <= 10**13:
        return False
    if money_hundredths(text) == 0 and re.search(rb"[1-9]", text):
        return False
    return True if len(found[1]) <= 18 and len(found[2] or b"") <= 40 else None


def money_hundredths(text: bytes) -> int:
    """Rounded half to even."""
    whole, _, fraction = text.partition(b".")
    return round(Fraction(int(whole + fraction), 10 ** len(fraction)) * 100)


def _outcome(segments, arguments, method: str, known: Known):
    """For a request that is well-formed and names what there is: the answers, and whether it may change something."""
    names = [text.decode("latin-1") for _, text in arguments]
    match [segment.decode("latin-1") for segment in segments[:2]]:
        case ["stock" | "payment" | "orders", "find" | "find_user" | "status" | "explain"] | ["health", _]:
            return {"200"}, False
        case ["stock", "subtract"] if int(names[1]) > known.items[names[0]]:
            return {"409/out-of-stock"}, False
        case ["payment", "pay"] if len(names) == 3 and names[1] not in known.orders:
            return {"404/unknown-order"}, False
        case ["payment", "pay"] if len(names) == 3 and money_hundredths(arguments[-1][1]) > known.users[names[0]]:
            # The model does not know whose an order is.
            return {"409/out-of-credit", "409/order-of-another-user", "409/paid-by-checkout"}, False
        case ["payment", "pay"] if money_hundredths(arguments[-1][1]) > known.users[names[0]]:
            return {"409/out-of-credit"}, False
        case ["payment", "add_funds"] if known.users[names[0]] + money_hundredths(arguments[1][1]) > 10**13:
            return {"400/over-limit"}, False
        case ["payment", "cancel"]:
            # The orders that a checkout paid belong to one user each; nothing was paid directly.
            return {"404/no-direct-payment", "404/unknown-order", "409/paid-by-checkout"}, False
        case ["orders", "addItem" | "removeItem" | "remove" | "checkout" as action]:
            return _order_outcome(action, names, known)
    return {"200"}, True


def _order_outcome(action: str, names, known: Known):
    order = known.orders[names[0]]
    if order["state"] == "paid":
        return {"200"}, False
    if action == "checkout" and not order["lines"]:
        return {"409/order-empty"}, False
    if action == "removeItem" and names[1] not in order["lines"]:
        return {"404/item-not-in-order"}, False
    return {"200"}, True
