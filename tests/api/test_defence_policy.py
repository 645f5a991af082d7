from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from api.defence_policy import HOUR_NS, NS_PER_S, Past, Rules, Suspect, decide
from infra.firewall import Address
from infra.firewall_guard import AddressGuard, parse_address
from infra.settings import load_settings
from schemas.blocks import BlockRow, BlockState, FirewallKind

NOW_NS = 1_800_000_000 * NS_PER_S
RULES = Rules.of(load_settings())
NFT, DRY = FirewallKind.NFTABLES, FirewallKind.DRY_RUN

ADDRESSES = [f"203.0.113.{last}" for last in range(8)] + ["10.0.0.1", "10.0.0.2", "127.0.0.1", "2001:db8::1", "nobody"]


def suspect(ip: str = "203.0.113.7", what: str = "PortScan", count: int = 100, severity: str = "") -> Suspect:
    return Suspect(
        ip=ip,
        what=what,
        severity=severity,
        count=count,
        confidence=None if severity else 0.97,
        capture_id="live",
        first_ns=NOW_NS - 50 * NS_PER_S,
        last_ns=NOW_NS - NS_PER_S,
    )


def block(ip: str, **changed: object) -> BlockRow:
    values = {
        "block_id": ip,
        "version": 1,
        "sensor": "s",
        "firewall": NFT,
        "ip": ip,
        "blocked_by": "policy",
        "is_automatic": True,
        "blocked_ns": NOW_NS - 60 * NS_PER_S,
        "expires_ns": NOW_NS + 60 * NS_PER_S,
    }
    return BlockRow.model_validate({**values, **changed})


def anybody(_: Address) -> str:
    return ""


def blocked(suspects: list[Suspect], rules: Rules = RULES, past: Past | None = None) -> list[str]:
    return [str(order.address) for order in decide(suspects, rules, past or Past(), anybody).orders]


SUSPECTS = st.builds(
    suspect,
    ip=st.sampled_from(ADDRESSES),
    what=st.sampled_from(["PortScan", "DDoS", "Bot"]),
    count=st.integers(1, 200),
    severity=st.sampled_from(["", "", "medium", "high"]),
)
ROWS = st.builds(
    block,
    ip=st.sampled_from(ADDRESSES),
    firewall=st.sampled_from([NFT, DRY]),
    state=st.sampled_from(list(BlockState)),
    is_automatic=st.booleans(),
    blocked_ns=st.integers(NOW_NS - 2 * HOUR_NS, NOW_NS),
    expires_ns=st.integers(NOW_NS - HOUR_NS, NOW_NS + HOUR_NS),
    ended_ns=st.none() | st.integers(NOW_NS - 2 * HOUR_NS, NOW_NS),
)


@settings(max_examples=50)
@given(st.lists(SUSPECTS, max_size=30), st.lists(ROWS, max_size=20), st.integers(0, 12))
def test_the_budget_is_never_exceeded_and_nobody_protected_is_ever_blocked(
    suspects: list[Suspect], rows: list[BlockRow], per_hour: int
) -> None:
    guard = AddressGuard(load_settings(defence_allow="10.0.0.0/8"))
    rules = replace(RULES, per_hour=per_hour)
    past = Past.of(rows, NFT, NOW_NS)
    orders = decide(suspects, rules, past, guard.why_not).orders
    made = sum(r.firewall is NFT and r.is_automatic and r.blocked_ns > NOW_NS - HOUR_NS for r in rows)
    assert len(orders) <= max(0, per_hour - made)
    named = [str(order.address) for order in orders]
    assert len(set(named)) == len(named)
    assert not any(guard.why_not(order.address) for order in orders)
    assert not {"10.0.0.1", "10.0.0.2", "127.0.0.1"} & set(named)
    assert not past.blocked & set(named)
    assert not past.left_alone & set(named)


@given(st.lists(SUSPECTS, max_size=30), st.randoms())
def test_the_order_of_what_was_found_does_not_matter(suspects: list[Suspect], random: object) -> None:
    shuffled = list(suspects)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    rules = replace(RULES, per_hour=3)
    first, second = (decide(found, rules, Past(), anybody) for found in (suspects, shuffled))
    assert [order.address for order in first.orders] == [order.address for order in second.orders]
    assert first.passed_over == second.passed_over


@given(st.lists(SUSPECTS, max_size=30))
def test_whom_it_blocked_it_does_not_block_again(suspects: list[Suspect]) -> None:
    named = blocked(suspects)
    assert blocked(suspects, past=Past(blocked=frozenset(named), automatic=0)) == blocked(
        [one for one in suspects if one.ip not in named]
    )


def test_enough_flows_of_one_class_are_needed() -> None:
    assert blocked([suspect(count=RULES.flows - 1)]) == []
    assert blocked([suspect(count=RULES.flows)]) == ["203.0.113.7"]
    halves = [suspect(what=what, count=RULES.flows // 2 + 1) for what in ("PortScan", "Bot")]
    assert blocked(halves) == []


def test_only_the_chosen_classes_count() -> None:
    rules = replace(RULES, classes=frozenset({"DDoS"}))
    assert blocked([suspect()], rules) == []
    assert blocked([suspect(what="DDoS")], rules) == ["203.0.113.7"]


def test_anomalies_count_from_the_chosen_severity_on() -> None:
    medium = suspect(what="port_scan", severity="medium", count=5)
    high = suspect(what="port_scan", severity="high", count=5)
    of = {name: Rules.of(load_settings(defence_auto_severity=name)) for name in ("none", "medium", "high")}
    assert [bool(blocked([medium], of[name])) for name in of] == [False, True, False]
    assert [bool(blocked([high], of[name])) for name in of] == [False, True, True]


def test_the_strongest_evidence_goes_first_and_is_the_reason() -> None:
    found = [
        suspect("203.0.113.1", count=40),
        suspect("203.0.113.2", count=400),
        suspect("203.0.113.2", what="port_scan", severity="high", count=4),
    ]
    orders = decide(found, replace(RULES, per_hour=1), Past(), anybody).orders
    assert [str(order.address) for order in orders] == ["203.0.113.2"]
    assert orders[0].reason == "PortScan: 400 flows within 60 s, confidence 0.97 or more"
    assert orders[0].evidence == (
        "/api/flows/?capture=live&source_ip=203.0.113.2&from=1799999950.000000000&to=1799999999.000000001"
    )
    said = decide(found[2:], RULES, Past(), anybody).orders[0]
    assert said.reason == "port scan: 4 anomalies of severity high within 60 s"
    assert said.evidence.startswith("/api/anomalies/?capture=live&source_ip=203.0.113.2&from=")
    assert said.evidence.endswith("&type=port_scan&severity=high")


def test_whom_a_person_has_let_go_the_policy_leaves_alone_for_an_hour() -> None:
    for minutes, is_blocked in ((59, False), (61, True)):
        ended_ns = NOW_NS - minutes * 60 * NS_PER_S
        row = block("203.0.113.7", state=BlockState.LIFTED, ended_ns=ended_ns, ended_by="ann", firewall=DRY)
        assert bool(blocked([suspect()], past=Past.of([row], NFT, NOW_NS))) is is_blocked


def test_what_was_only_rehearsed_does_not_stand_in_the_way() -> None:
    rows = [block(f"203.0.113.{last}", firewall=DRY) for last in range(10)]
    assert blocked([suspect()], past=Past.of(rows, NFT, NOW_NS)) == ["203.0.113.7"]
    assert blocked([suspect()], past=Past.of(rows, DRY, NOW_NS)) == []


def test_what_is_passed_over_is_counted_by_reason() -> None:
    found = [suspect(ip) for ip in ("127.0.0.1", "nobody", "203.0.113.1", "203.0.113.2", "203.0.113.3")]
    past = Past(left_alone=frozenset({"203.0.113.2"}), automatic=9)
    decision = decide(found, RULES, past, AddressGuard(load_settings()).why_not)
    assert [order.address for order in decision.orders] == [parse_address("203.0.113.1")]
    assert decision.passed_over == {"protected": 2, "let_go": 1, "budget": 1}
