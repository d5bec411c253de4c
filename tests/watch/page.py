"""Drives the status page with a real browser: page.py URL TOKEN BROWSER.

Says what it sees, a line each; after "shown" the token is to be revoked. Ends with 1 where something is not as it must be.
"""

import sys
import time

from playwright.sync_api import sync_playwright

url, token, browser = sys.argv[1:]


def until(page, place, fits):
    """Waits until a text fits. The page lets nobody evaluate text as script, so that it is asked from here."""
    end = time.monotonic() + 60
    while not fits(text := page.inner_text(place)):
        assert time.monotonic() < end, f"{place} stays: {text}"
        page.wait_for_timeout(50)


with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    mistakes = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda line: mistakes.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(url)
    page.wait_for_selector("#login:not([hidden])")
    print("asked", flush=True)
    page.fill("#token", "sf_wrong")
    page.press("#token", "Enter")
    until(page, "#live", lambda said: "not known" in said)
    page.fill("#token", token)
    page.click("#login button")
    page.wait_for_selector("[data-pool='pool.web']")
    assert not page.is_visible("#login")
    assert "pool.web/m1" in page.inner_text("#nodes")
    until(page, "#events", lambda events: "watching 1 pool" in events)
    # No wider than a phone.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # It is kept for this tab, and for no other.
    page.reload()
    page.wait_for_selector("[data-pool='pool.web']")
    other = chromium.new_page()
    other.goto(url)
    other.wait_for_selector("#login:not([hidden])")
    assert other.evaluate("localStorage.length") == 0
    # It is live.
    until(page, "#live", lambda said: said.startswith("last lap"))
    before = page.inner_text("#live")
    until(page, "#live", lambda said: said.startswith("last lap") and said != before)
    print("shown", flush=True)
    page.wait_for_selector("#login:not([hidden])")
    until(page, "#live", lambda said: "revoked" in said)
    assert page.inner_text("#pools") == ""
    assert mistakes == [], mistakes
    chromium.close()
print("asked again", flush=True)
