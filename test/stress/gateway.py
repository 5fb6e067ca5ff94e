"""Where the shop is: SHOP_URL, or GATEWAY_URL in the `urls.json` beside this file."""

import json
import os
from pathlib import Path


def gateway_url() -> str:
    return os.environ.get("SHOP_URL") or json.loads(Path(__file__).with_name("urls.json").read_text())["GATEWAY_URL"]
