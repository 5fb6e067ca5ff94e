"""Attacks of a foreign page, in a real browser. Run by test_browsers.py, in an environment that has selenium.

    attacks.py EVIL_PORT TARGET_PORT USER ITEM

Every name leads to 127.0.0.1, as for a victim whose resolver the attacker has brought that far. Prints a line of JSON for each
attack: its name, and what the page learned; nothing else says whether it had an effect than the shop itself.
"""

import json
import sys
import time
import urllib.parse
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

EVIL, TARGET, USER, ITEM = sys.argv[1:5]
SHOP = f"http://127.0.0.1:{TARGET}"
FUNDS = f"/payment/add_funds/{USER}/1000"
FOUND = f"/stock/find/{ITEM}"

# What a page of another site runs. Each calls `done` with what it learned; null: nothing.
FROM_A_FOREIGN_PAGE = {
    "a form": "post(shop + funds, '_self'); setTimeout(() => done(null), 300)",
    "a form in a frame": "frame('sink'); post(shop + funds, 'sink'); setTimeout(() => done(null), 300)",
    "a form in a new window": "post(shop + funds, '_blank'); setTimeout(() => done(null), 300)",
    "a form without an origin": """
        let f = document.createElement('iframe'); f.sandbox = 'allow-forms allow-scripts';
        f.srcdoc = `<form method=post action="${shop + funds}"></form><script>document.forms[0].submit()<\\/script>`;
        document.body.append(f); setTimeout(() => done(null), 500)""",
    "fetch without cors": "fetch(shop + funds, {method: 'POST', mode: 'no-cors'}).then(r => done(r.status || null), () => done(null))",
    "fetch with cors": "fetch(shop + funds, {method: 'POST'}).then(r => r.text()).then(done, () => done(null))",
    "fetch with a key": """fetch(shop + funds, {method: 'POST', headers: {'Idempotency-Key': 'k'}})
        .then(r => r.text()).then(done, () => done(null))""",
    "fetch that removes": "fetch(shop + '/orders/remove/1', {method: 'DELETE'}).then(r => r.text()).then(done, () => done(null))",
    "a beacon": "navigator.sendBeacon(shop + funds, 'x'); setTimeout(() => done(null), 300)",
    "an XMLHttpRequest": """let x = new XMLHttpRequest(); x.open('POST', shop + funds);
        x.onload = () => done(x.responseText); x.onerror = () => done(null); x.send()""",
    "fetch that reads": "fetch(shop + found).then(r => r.text()).then(done, () => done(null))",
    "a script that reads": """let s = document.createElement('script'); s.src = shop + found;
        s.onload = () => done('it was run'); s.onerror = () => done(null); document.body.append(s)""",
    "a socket": """let w = new WebSocket(shop.replace('http', 'ws') + found);
        w.onopen = () => done('open'); w.onerror = () => done(null)""",
}
HELP = """
    function frame(name) { let f = document.createElement('iframe'); f.name = name; document.body.append(f) }
    function post(url, target) {
        let f = document.createElement('form'); f.method = 'POST'; f.action = url; f.target = target;
        document.body.append(f); f.submit()
    }
"""


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
                 "--host-resolver-rules=MAP * 127.0.0.1"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(10)
    return driver


def run(driver, script):
    """Runs a script in the page that is shown."""
    return driver.execute_async_script(f"const [shop, funds, found, done] = arguments; {script}", SHOP, FUNDS, FOUND)


def attack(driver, script, host="evil.example"):
    """Has a foreign page run a script of its own. (A script of the driver's would go on in the page that a form leads to.)"""
    words = [json.dumps(word) for word in (SHOP, FUNDS, FOUND)]
    own = f"const [shop, funds, found] = [{', '.join(words)}]; const done = value => {{ window.learned = [value] }}; {HELP} {script}"
    driver.get(f"http://{host}:{EVIL}/?{urllib.parse.quote(own)}")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        learned = driver.execute_script("return window.learned || null")
        if learned:
            return learned[0]
        time.sleep(0.05)
    return None


def tell(name, learned):
    with urllib.request.urlopen(f"{SHOP}/payment/find_user/{USER}") as answer:
        credit = json.load(answer)["credit"]
    print(json.dumps({"attack": name, "learned": learned, "credit": credit}), flush=True)


def main():
    driver = browser()
    try:
        for name, script in FROM_A_FOREIGN_PAGE.items():
            tell(name, attack(driver, script))
        tell("fetch of another port", attack(driver, FROM_A_FOREIGN_PAGE["fetch without cors"], host="127.0.0.1"))
        driver.get(f"http://evil.example:{EVIL}/")
        driver.execute_script("let f = document.createElement('iframe'); f.src = arguments[0]; document.body.append(f)", SHOP + "/docs")
        driver.switch_to.frame(0)
        tell("a frame", "it is shown" if "Kontor" in driver.title + driver.page_source else None)
        driver.switch_to.default_content()
        # After DNS rebinding the attacker's name leads to the shop, and his page is of the same origin.
        driver.get(f"http://evil.example:{TARGET}{FOUND}")
        tell("rebinding, a read", driver.page_source if '"price"' in driver.page_source else None)
        tell("rebinding, a write", run(driver, "fetch(funds, {method: 'POST'}).then(r => done(r.ok ? 'done' : null), () => done(null))"))
        for host in ("127.0.0.1", "localhost"):
            driver.get(f"http://{host}:{TARGET}/docs")
            made = run(driver, "fetch('/stock/item/create/5', {method: 'POST'}).then(r => r.json()).then(r => done(r.item_id), () => done(null))")
            print(json.dumps({"own": host, "title": driver.title, "made": made}), flush=True)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
