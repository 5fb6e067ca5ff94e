"""What schemathesis does not know about this shop: one more check, three findings that are none, and what would take long.

It is loaded by schemathesis (SCHEMATHESIS_HOOKS), not by the tests.
"""

import itertools

import schemathesis
from schemathesis.core.failures import ServerError
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

# The deadline of a request that does not name one.
USUAL_DEADLINE_MILLISECONDS = 5000
# A `batch_init` may make a million records, which takes seconds each time, and would replace those that the other requests are
# about. Here it makes one, "0", which no example names. Which counts are accepted is proved by the OpenAPI tests in Swift.
MOST_RECORDS = 1
RECORDS_BOUND = 1_000_000


@schemathesis.check
def problem_details(ctx, response, case):
    """Every error is a problem detail (RFC 9457) that a program and a person understand."""
    if response.status_code < 400:
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    problem = response.json()
    assert problem["type"].startswith("/problems/"), "type"
    assert problem["status"] == response.status_code, "status"
    assert problem["title"] and problem["detail"], "title and detail"
    # 405 and Allow are checked by schemathesis itself.
    if problem["type"] in ("/problems/contended", "/problems/open-saga") or response.status_code in (424, 429, 503):
        assert int(response.headers["retry-after"][0]) > 0, "Retry-After"


# The example of the document. It would be the key of most requests, and so the reason for refusing them.
EXAMPLE_KEY = "order-1-first-try"
_numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes the example of a key a new one each time, and large counts small; leaves those alone that are to be refused."""
    if case.headers.get("Idempotency-Key") == EXAMPLE_KEY:
        case.headers["Idempotency-Key"] = f"{EXAMPLE_KEY}-{next(_numbers)}"
    count = str(case.path_parameters.get("count", ""))
    if count.isascii() and count.isdigit() and MOST_RECORDS < int(count) <= RECORDS_BOUND:
        case.path_parameters["count"] = MOST_RECORDS


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether this is a finding."""
    if isinstance(failure, UseAfterFree) and '"state":"removed"' in response.text:
        # A removed order is still shown, as what it is.
        return False
    try:
        problem = response.json()["type"]
    except (ValueError, KeyError, TypeError):
        return True
    if isinstance(failure, RejectedPositiveData) and problem == "/problems/over-limit":
        # Each amount is within its bound, and their sum is not: no schema can say that.
        return False
    if isinstance(failure, RejectedPositiveData) and response.json().get("pointer") == "/checkout":
        # A checkout with the order needs a key: no schema of a body knows of headers.
        return False
    if isinstance(failure, RejectedPositiveData) and problem == "/problems/changed-since":
        # No schema knows the tag of an order.
        return False
    if isinstance(failure, RejectedPositiveData) and problem == "/problems/idempotency-key-reused":
        # Each key is well formed. That it named another request before is not in the schema.
        return False
    if isinstance(failure, ServerError) and problem in ("/problems/outcome-unknown", "/problems/read-unavailable"):
        # The request allowed less time than it took, and was told so.
        return not 0 < own_deadline(case) < USUAL_DEADLINE_MILLISECONDS
    return True


def own_deadline(case) -> int:
    """The deadline that the request names, in milliseconds; 0 if it names none."""
    text = str(case.headers.get("Request-Timeout-Ms", ""))
    return int(text) if text.isascii() and text.isdigit() else 0
