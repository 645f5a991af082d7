"""What a report calls serious: findings out of incidents, verdicts and the ledger, each with how serious it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from api.capture_answers import LedgerAnswer, is_balanced
from api.classification_summary import VerdictsSummaryAnswer
from api.queries_report import IncidentCount
from api.report_answers import Concern, FindingAnswer, LaneAnswer
from schemas.classifications import BENIGN_NAME
from schemas.enums import Severity

_OF_SEVERITY = {Severity.MEDIUM: Concern.MEDIUM, Severity.HIGH: Concern.HIGH}


def concern_of(severity: Severity) -> Concern:
    """Return how serious an anomaly of a severity is."""
    return _OF_SEVERITY[severity]


def findings_of(
    incidents: Iterable[IncidentCount],
    malicious: dict[str, int],
    verdicts: VerdictsSummaryAnswer,
    ledger: LedgerAnswer,
    *,
    is_truncated: bool,
) -> list[FindingAnswer]:
    """Return what was found, the most serious first.

    Parameters
    ----------
    incidents : iterable of IncidentCount
        Of the whole capture.
    malicious : dict of str to int
        Flows named an attack whose threat score is malicious, by class.
    verdicts, ledger
        Of the capture.
    is_truncated : bool
        Whether its file ends inside a record.
    """
    found = [*_incidents(incidents), *_verdicts(verdicts, malicious), *_losses(ledger, is_truncated=is_truncated)]
    return sorted(found, key=lambda one: (-one.concern.rank, one.kind, -one.count, one.name))


def worst_of(findings: Sequence[FindingAnswer]) -> Concern | None:
    """Return how serious the most serious finding is; None without any."""
    return max((one.concern for one in findings), key=lambda concern: concern.rank, default=None)


def _incidents(incidents: Iterable[IncidentCount]) -> Iterator[FindingAnswer]:
    for row in incidents:
        name, count = row.type.value, row.incidents
        noun = "incident" if count == 1 else "incidents"
        sentence = f"{count:,} {noun} of type {words_of(name)}"
        yield FindingAnswer(
            concern=concern_of(row.severity), kind="incident", name=name, count=count, sentence=sentence
        )


def _verdicts(said: VerdictsSummaryAnswer, malicious: dict[str, int]) -> Iterator[FindingAnswer]:
    for one in said.classes:
        if one.is_attack:
            bad = min(malicious.get(one.class_name, 0), one.flows)
            for concern, count in ((Concern.HIGH, bad), (Concern.MEDIUM, one.flows - bad)):
                if count:
                    yield _verdict(concern, one.class_name, count, "judged to be")
    for name, count in said.guesses.items():
        if name != BENIGN_NAME and count:
            yield _verdict(Concern.LOW, name, count, "uncertain, most like")


def _verdict(concern: Concern, name: str, count: int, how: str) -> FindingAnswer:
    noun = "flow" if count == 1 else "flows"
    return FindingAnswer(
        concern=concern, kind="verdict", name=name, count=count, sentence=f"{count:,} {noun} {how} {name}"
    )


def _losses(ledger: LedgerAnswer, *, is_truncated: bool) -> Iterator[FindingAnswer]:
    """Yield what makes the report itself doubtful."""
    if is_truncated:
        yield _loss(Concern.LOW, "truncated file", 0, "The file ends inside a record: what came after it is not here")
    for hop in ledger.hops:
        for reason, count in hop.lost.items():
            yield _loss(Concern.LOW, f"{hop.hop} {reason}", count, f"{count:,} packets not seen: {hop.hop}, {reason}")
    wrong = [hop.hop.value for hop in ledger.hops if not is_balanced(hop)]
    if ledger.is_complete and not ledger.is_balanced:
        at = f" at {', '.join(wrong)}" if wrong else ": a hop is missing"
        count = abs(ledger.difference)
        yield _loss(Concern.HIGH, "ledger", count, f"The loss ledger does not balance{at}")


def _loss(concern: Concern, name: str, count: int, sentence: str) -> FindingAnswer:
    return FindingAnswer(concern=concern, kind="loss", name=name, count=count, sentence=sentence)


def words_of(name: str) -> str:
    """Return the name of a type as people write it."""
    return name.replace("_", " ")


def concern_of_lane(lane: LaneAnswer) -> Concern:
    """Return how serious the worst of a lane is."""
    return max((cell.concern for cell in lane.cells), key=lambda concern: concern.rank)
