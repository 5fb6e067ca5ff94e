#!/usr/bin/env python3
"""Fills the shop with items, users and orders under the ids 0, 1, 2 ..., for a load that begins with the checkouts.

Whatever the shop has under these ids is replaced. The shop is --url, or what gateway.py says.
"""

import argparse
import sys
import time
import urllib.error
import urllib.request

from gateway import gateway_url

# What is made at once may take long.
_PATIENCE_SECONDS = 600


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fills the shop with items, users and orders.")
    for name, number in (("items", 100_000), ("users", 100_000), ("orders", 100_000), ("stock", 1_000_000), ("credit", 1_000_000)):
        parser.add_argument(f"--{name}", type=int, default=number, help="default: %(default)s")
    parser.add_argument("--price", type=int, default=1, help="of each item; default: %(default)s")
    parser.add_argument("--url", default=gateway_url(), help="the gateway; default: %(default)s")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    for path in (
        f"/stock/batch_init/{options.items}/{options.stock}/{options.price}",
        f"/payment/batch_init/{options.users}/{options.credit}",
        f"/orders/batch_init/{options.orders}/{options.items}/{options.users}/{options.price}",
    ):
        request = urllib.request.Request(options.url.rstrip("/") + path, method="POST")
        started = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS):
                print(f"{path}: {time.monotonic() - started:.1f} s")
        except urllib.error.HTTPError as error:
            print(f"{path}: {error.code} {error.read().decode(errors='replace')}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
