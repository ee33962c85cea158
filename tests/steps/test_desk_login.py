"""Who may use the desk: passwords, one-time codes, throttles, forms of other sites, roles, and the end of a login."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx2
import pyotp
import pytest

from delivery.records.database import transaction
from delivery.records.identities import staff
from delivery.sealing import seal
from delivery.settings import Settings
from delivery.staff_secrets import generate_totp_secret, totp_name
from delivery.vocabulary import StaffRole
from tests.support.api_server import open_door
from tests.support.desk import PASSWORD, Browser, add_staff
from tests.support.fixtures import Fixtures

NewBrowser = Callable[[httpx2.Client], Browser]

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def strict(settings: Settings, fixtures: Fixtures) -> Iterator[httpx2.Client]:
    """Yield a client of an API that lets three refused logins pass."""
    del fixtures
    few = settings.model_copy(update={"desk_logins_per_account": 3, "desk_logins_per_address": 5})
    with open_door(few) as client:
        yield client


def test_without_a_login_each_page_leads_to_the_login_and_back(browser: Browser, fixtures: Fixtures) -> None:
    add_staff(fixtures.database)

    asked = browser.open("/desk/cases/0199a1b2-0000-7000-8000-000000000000")
    entered = browser.log_in(next="/desk")

    assert ("/desk/login", 200) == (asked.url.path, asked.status_code)
    assert 'value="/desk/cases/0199a1b2-0000-7000-8000-000000000000"' in asked.text
    assert ("/desk", 200) == (entered.url.path, entered.status_code)
    assert "Nothing waits." in browser.text


@pytest.mark.parametrize(("name", "password"), [("Vera", "wrong"), ("vera ", ""), ("Nil", PASSWORD), ("", "")])
def test_a_wrong_name_and_a_wrong_password_get_the_same_page(
    browser: Browser, fixtures: Fixtures, name: str, password: str
) -> None:
    add_staff(fixtures.database)

    answer = browser.log_in(name, password)

    assert 401 == answer.status_code
    assert "The name or the password is wrong, or this login is disabled." in browser.text
    assert not browser.http.cookies


def test_a_disabled_person_cannot_log_in_and_open_logins_end_at_once(browser: Browser, fixtures: Fixtures) -> None:
    member = add_staff(fixtures.database)
    browser.log_in()

    with transaction(fixtures.database) as db:
        staff.set_disabled(db, member.staff_id, is_disabled=True)

    assert "/desk/login" == browser.open("/desk").url.path
    assert 401 == browser.log_in().status_code


def test_a_token_that_was_planted_before_the_login_is_worth_nothing_after_it(
    browser: Browser, fixtures: Fixtures
) -> None:
    add_staff(fixtures.database)
    planted = "A" * 43
    browser.http.cookies.set("desk_login", planted)

    answer = browser.http.post("/desk/login", data={"name": "Vera", "password": PASSWORD}, follow_redirects=False)

    given = answer.headers["Set-Cookie"]
    assert planted not in given
    assert "HttpOnly" in given
    assert "SameSite=lax" in given
    assert [] == [row for row in fixtures.run_sql("SELECT digest FROM staff_session") if planted.encode() in row.digest]


@pytest.mark.parametrize(
    "goal",
    [
        "https://evil.example",
        "//evil.example",
        "/desk/../x",
        "/desk//\\evil",
        "/desk?x=1",
        "/deskx",
        "/desk/logout",
        "",
    ],
)
def test_a_login_leads_to_no_other_site(browser: Browser, fixtures: Fixtures, goal: str) -> None:
    add_staff(fixtures.database)

    answer = browser.http.post(
        "/desk/login", data={"name": "Vera", "password": PASSWORD, "next": goal}, follow_redirects=False
    )

    assert (303, "/desk") == (answer.status_code, answer.headers["Location"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_site_changes_nothing(browser: Browser, fixtures: Fixtures, headers: dict[str, str]) -> None:
    add_staff(fixtures.database)
    browser.log_in()

    answer = browser.send_with(headers, "/desk/logout")

    assert 403 == answer.status_code
    assert "/desk" == browser.open("/desk").url.path


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_the_token_of_its_login_changes_nothing(
    browser: Browser, fixtures: Fixtures, token: str
) -> None:
    add_staff(fixtures.database)
    browser.log_in()

    answer = browser.send("/desk/logout", csrf=token)

    assert 403 == answer.status_code
    assert "/desk" == browser.open("/desk").url.path


def test_a_person_logs_out(browser: Browser, fixtures: Fixtures) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    cookies = dict(browser.http.cookies)

    left = browser.send("/desk/logout")
    browser.http.cookies.update(cookies)

    assert "/desk/login" == left.url.path
    assert "/desk/login" == browser.open("/desk").url.path


@pytest.mark.parametrize("column", ["seen_at", "started_at"])
def test_a_login_ends_when_it_is_idle_and_after_its_longest_time(
    browser: Browser, fixtures: Fixtures, settings: Settings, column: str
) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    limit_s = settings.desk_idle_s if column == "seen_at" else settings.desk_session_s

    fixtures.run_sql(f"UPDATE staff_session SET {column} = {column} - make_interval(secs => {limit_s - 30})")
    still = browser.open("/desk").url.path
    fixtures.run_sql(f"UPDATE staff_session SET {column} = {column} - make_interval(secs => {limit_s + 30})")

    assert ("/desk", "/desk/login") == (still, browser.open("/desk").url.path)


def test_polling_does_not_keep_a_login_from_ending(browser: Browser, fixtures: Fixtures) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    fixtures.run_sql("UPDATE staff_session SET seen_at = seen_at - interval '10 minutes'")
    before = fixtures.run_sql("SELECT seen_at FROM staff_session")

    polled = browser.http.get("/desk/waiting")
    after = fixtures.run_sql("SELECT seen_at FROM staff_session")
    browser.open("/desk")

    assert 200 == polled.status_code
    assert before == after
    assert after != fixtures.run_sql("SELECT seen_at FROM staff_session")


def test_too_many_refused_logins_of_a_name_are_throttled_even_with_the_right_password(
    strict: httpx2.Client, fixtures: Fixtures, new_browser: NewBrowser
) -> None:
    add_staff(fixtures.database)
    browser = new_browser(strict)

    statuses = [browser.log_in(password="wrong").status_code for _ in range(4)]
    right = browser.log_in()
    fixtures.run_sql("UPDATE staff_login_attempt SET tried_at = tried_at - interval '16 minutes'")
    later = browser.log_in()

    assert [401, 401, 401, 429] == statuses
    assert (429, 200) == (right.status_code, later.status_code)


def test_too_many_refused_logins_of_an_address_are_throttled_whatever_the_names(
    strict: httpx2.Client, fixtures: Fixtures, new_browser: NewBrowser
) -> None:
    add_staff(fixtures.database)
    browser = new_browser(strict)

    statuses = [browser.log_in(name=f"name {number}").status_code for number in range(6)]

    assert [401] * 5 + [429] == statuses
    assert 429 == browser.log_in().status_code


def test_concurrent_guesses_do_not_pass_the_throttle_together(
    strict: httpx2.Client, fixtures: Fixtures, new_browser: NewBrowser
) -> None:
    add_staff(fixtures.database)
    statuses: list[int] = []
    guesses = [
        threading.Thread(target=lambda each=each: statuses.append(each.log_in(password="wrong").status_code))
        for each in [new_browser(strict) for _ in range(8)]
    ]

    for each in guesses:
        each.start()
    for each in guesses:
        each.join()

    assert 3 >= statuses.count(401)
    assert 8 == len(statuses)


def test_no_name_and_no_address_is_stored_with_a_refused_login(browser: Browser, fixtures: Fixtures) -> None:
    browser.log_in("typed the password here", "x")

    (row,) = fixtures.run_sql("SELECT * FROM staff_login_attempt")

    assert "typed" not in str(row)
    assert "127.0.0.1" not in str(row)


def test_one_time_codes_are_asked_for_checked_and_used_up(
    browser: Browser, fixtures: Fixtures, settings: Settings, new_browser: NewBrowser
) -> None:
    member = add_staff(fixtures.database)
    secret = generate_totp_secret()
    assert settings.sealing_key is not None
    with transaction(fixtures.database) as db:
        staff.set_totp(db, member.staff_id, seal(secret, totp_name(member.staff_id), settings.sealing_key))
    code = pyotp.TOTP(secret).at(datetime.now(UTC))

    asked = browser.log_in(next="/desk")
    half_way = browser.http.get("/desk").url.path
    wrong = browser.http.post("/desk/login/code", data={"code": "12345"})
    partial = browser.http.cookies["desk_login"]
    right = browser.http.post("/desk/login/code", data={"code": code, "next": "/desk"})
    again = new_browser(browser.http)
    again.log_in()
    repeated = again.http.post("/desk/login/code", data={"code": code})

    assert ("/desk/login/code", "/desk/login", 401) == (asked.url.path, half_way, wrong.status_code)
    assert ("/desk", 200) == (right.url.path, right.status_code)
    assert partial != browser.http.cookies["desk_login"]
    assert 401 == repeated.status_code


def test_a_role_that_is_taken_away_counts_at_the_next_request(browser: Browser, fixtures: Fixtures) -> None:
    member = add_staff(fixtures.database)
    browser.log_in()
    with transaction(fixtures.database) as db:
        staff.set_role(db, member.staff_id, StaffRole.VIEWER)

    answer = browser.send("/desk/cases/0199a1b2-0000-7000-8000-000000000000/approve")

    assert 403 == answer.status_code
    assert "This needs the role vetter, and yours is viewer." in browser.text


def test_every_page_forbids_scripts_of_others_frames_and_caches(browser: Browser) -> None:
    answers = [browser.open("/desk/login"), browser.open("/desk/static/none"), browser.log_in()]

    for each in answers:
        policy = each.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert ("DENY", "no-store") == (each.headers["X-Frame-Options"], each.headers["Cache-Control"])
        assert "unsafe" not in policy


def test_the_desk_can_be_switched_off(settings: Settings, fixtures: Fixtures) -> None:
    del fixtures
    with open_door(settings.model_copy(update={"desk": False})) as http:
        assert [404, 404] == [http.get(path).status_code for path in ("/desk", "/desk/login")]


def test_over_https_the_cookie_is_bound_to_this_host(settings: Settings, fixtures: Fixtures) -> None:
    add_staff(fixtures.database)
    with open_door(settings.model_copy(update={"public_url": "https://mail.example"})) as http:
        answer = http.post("/desk/login", data={"name": "Vera", "password": PASSWORD})

    assert answer.headers["Set-Cookie"].startswith("__Host-desk_login=")
    assert "Secure" in answer.headers["Set-Cookie"]
