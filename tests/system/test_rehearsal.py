"""`make up` fills the desk with the rehearsal: 60 cases after the first start, and none more after a second."""

import json

import httpx2

from tests.support.desk import Browser
from tests.support.platform import Platform
from tests.support.waiting import wait_until


def open_cases(platform: Platform) -> list[str]:
    """Return the ids of the cases that wait for staff, as the command lists them."""
    listed = json.loads(platform.command("vetting", "list", "--json").stdout)
    return [case["case_id"] for case in listed["cases"]]


def test_the_desk_has_sixty_cases_and_a_second_start_adds_none(rehearsed_platform: Platform) -> None:
    platform = rehearsed_platform
    wait_until(lambda: len(open_cases(platform)) >= 60, within_s=20)
    before = open_cases(platform)
    platform.command("vetting", "approve", before[0])
    with httpx2.Client(base_url=platform.facts["base_url"]) as http:
        browser = Browser(http)
        browser.log_in(platform.facts["staff_name"], platform.facts["staff_password"])
        browser.open("/desk")
        shown = [each for each in before if browser.page is not None and each in browser.page.text]
        browser.close()

    platform.stop()
    platform.start()
    own = platform.post("inbox-01", body="by wire transfer only").json()["meta"]["message_vetting_id"]
    wait_until(lambda: own in open_cases(platform), within_s=20)

    assert 60 == len(before)
    assert before[1:51] == shown  # One page of the list.
    assert [*before[1:], own] == open_cases(platform)
    assert [] == platform.mails()
