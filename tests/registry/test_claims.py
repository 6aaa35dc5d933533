"""Claims of several sessions on one table, and tokens: on both registries."""

from __future__ import annotations

import threading

import pytest

from aaiclick_ext.errors import ShareError
from aaiclick_ext.registry import Registry
from aaiclick_ext.registry.claim_store import ClaimStore, Holding

DATABASE = "clickhouse://db:8123/default"


@pytest.fixture
def sessions(registry_url, tmp_path):
    """Make the claims of a session, by its number."""
    registries = []

    def make(session_id, database=DATABASE):
        registries.append(Registry(registry_url, tmp_path / "state"))
        return ClaimStore(registries[-1], database, session_id)

    yield make
    for registry in registries:
        registry.close()


def test_a_token_moves_a_claim_once(sessions):
    one, two, three = sessions(1), sessions(2), sessions(3)
    one.give_token("t", "secret", 60)
    assert one.holding(["t", "u"]) == {"t": Holding((1,), 1)}
    assert two.redeem("secret") == "t"
    assert one.holding(["t"]) == {"t": Holding((1, 2), 0)}
    with pytest.raises(ShareError, match="redeemed before"):
        three.redeem("secret")
    with pytest.raises(ShareError, match="redeemed before"):
        three.redeem("never given")
    assert one.give_up(["t"]) == {"t": Holding((2,), 0)}
    assert two.give_up(["t"]) == {}
    assert one.holding(["t"]) == {}


def test_a_token_holds_until_it_expires(sessions):
    one, two = sessions(1), sessions(2)
    one.give_token("t", "short", 0.000001)
    one.give_token("u", "long", 60)
    held = one.give_up(["t", "u", "never shared"])
    assert held == {"u": Holding((), 1)}
    assert held["u"].expires_in_s is not None
    assert 30 < held["u"].expires_in_s <= 60
    with pytest.raises(ShareError, match="has expired"):
        two.redeem("short")
    assert two.redeem("long") == "u"
    assert two.holding(["u"]) == {"u": Holding((2,), 0)}


def test_a_token_of_another_database_is_not_spent(sessions):
    one, elsewhere = sessions(1), sessions(2, "clickhouse://other:8123/default")
    one.give_token("t", "secret", 60)
    with pytest.raises(ShareError, match="clickhouse://other"):
        elsewhere.redeem("secret")
    assert sessions(3).redeem("secret") == "t"


def test_the_registry_does_not_hold_the_token(sessions, tmp_path):
    sessions(1).give_token("t", "a very secret token", 60)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("registry*"))
    assert b"a very secret token" not in written


def test_claiming_twice_is_one_claim(sessions):
    one = sessions(1)
    one.give_token("t", "a", 60)
    assert one.redeem("a") == "t"
    assert one.holding(["t"]) == {"t": Holding((1,), 0)}
    assert one.give_up(["t"]) == {}


def at_once(*tasks):
    """Run tasks at the same moment and return what they gave, None for a ShareError."""
    found, gate = {}, threading.Barrier(len(tasks))

    def run(number, task):
        gate.wait()
        try:
            found[number] = task()
        except ShareError:
            found[number] = None

    threads = [threading.Thread(target=run, args=entry) for entry in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(tasks))]


def test_of_those_who_let_go_at_once_one_is_last(sessions):
    stores = [sessions(number) for number in range(1, 5)]
    for turn in range(5):
        table = f"t{turn}"
        for number, store in enumerate(stores[1:]):
            stores[0].give_token(table, f"{turn} {number}", 60)
            store.redeem(f"{turn} {number}")
        held = at_once(*[lambda store=store, t=table: store.give_up([t]) for store in stores])
        assert sum(not tables for tables in held) == 1


def test_of_those_who_redeem_at_once_one_gets_it(sessions):
    stores = [sessions(number) for number in range(1, 5)]
    for turn in range(5):
        stores[0].give_token(f"t{turn}", f"token {turn}", 60)
        stores[0].give_up([f"t{turn}"])
        got = at_once(*[lambda s=store, t=turn: s.redeem(f"token {t}") for store in stores])
        assert sorted(filter(None, got)) == [f"t{turn}"]
