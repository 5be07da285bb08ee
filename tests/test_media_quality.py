"""agents.media.quality: what is counted becomes a MOS, or an honest nothing."""

import pytest

from agents.media.quality import Counts, QualityMeter, mean_opinion_score, rating


def counts(received: int, lost: int = 0, **more: object) -> Counts:
    known = {"codec": "PCMU", "round_trip": 0.03, "jitter": 0.002, "sent": received}
    return Counts(received=received, lost=lost, **(known | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("r", "mos"), [(0, 1.0), (-5, 1.0), (50, 2.58), (60, 3.1), (70, 3.6), (80, 4.02), (90, 4.34), (100, 4.5)]
)
def test_ratings_become_the_scores_of_g107_annex_b(r: float, mos: float) -> None:
    assert mean_opinion_score(r) == pytest.approx(mos, abs=0.01)


def test_the_score_never_leaves_its_scale() -> None:
    scores = [mean_opinion_score(r / 4) for r in range(-40, 480)]
    assert min(scores) == 1.0
    assert max(scores) == 4.5


def test_a_call_without_fault_has_the_default_rating() -> None:
    assert rating("PCMU", loss=0, delay=0.05) == 93.2
    assert rating("opus", loss=0, delay=0.1) == 93.2
    assert mean_opinion_score(93.2) == pytest.approx(4.41, abs=0.01)


def test_delay_costs_what_g107_says() -> None:
    # At 400 ms X = 2, so Idd = 25 * (65^(1/6) - 3 * (1 + (2/3)^6)^(1/6) + 2).
    lost = [93.2 - (rating("PCMU", loss=0, delay=ms / 1000) or 0) for ms in (100, 150, 250, 400, 600)]
    assert lost == pytest.approx([0, 0.2, 8.9, 24.1, 35.2], abs=0.3)


def test_loss_costs_by_the_codecs_robustness() -> None:
    # Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl + Bpl), Bpl = 25.1 for G.711 with concealment.
    assert rating("PCMA", loss=0.05, delay=0) == pytest.approx(93.2 - 95 * 5 / 30.1)
    assert rating("opus", loss=0.05, delay=0) == pytest.approx(93.2 - 95 * 5 / 24)
    assert rating("PCMU", loss=1.0, delay=2.0) == 0.0
    assert rating("G722", loss=0, delay=0) is None


def test_a_meter_tells_losses_of_the_last_samples_and_counters_of_the_whole_call() -> None:
    meter = QualityMeter()
    first = meter.sample(counts(90, lost=10))
    assert (first.loss, first.received, first.lost, first.jitter_ms) == (0.1, 90, 10, 2.0)
    good = [meter.sample(counts(90 + 50 * second, lost=10)) for second in range(1, 12)]
    assert good[-1].loss == 0.0
    assert good[-1].lost == 10
    assert first.mos is not None
    assert good[-1].mos is not None
    assert good[-1].mos > 4.3 > first.mos
    assert meter.worst_mos == pytest.approx(first.mos, abs=0.01)
    assert meter.mean_mos is not None
    assert first.mos < meter.mean_mos < good[-1].mos


def test_what_came_too_late_is_as_good_as_lost_and_what_was_recovered_is_not() -> None:
    assert QualityMeter().sample(counts(100, spoiled=5)).loss == 0.05
    assert QualityMeter().sample(counts(95, lost=5, recovered=5)).loss == 0.0


@pytest.mark.parametrize(
    "unknown", [counts(0), counts(100, round_trip=None), counts(100, codec="G722"), Counts()]
)
def test_there_is_no_score_without_sound_without_a_round_trip_or_for_an_unknown_codec(
    unknown: Counts,
) -> None:
    meter = QualityMeter()
    assert meter.sample(unknown).mos is None
    assert meter.mean_mos is None


def test_duplicates_never_make_a_negative_loss() -> None:
    meter = QualityMeter()
    meter.sample(counts(100, lost=10))
    assert meter.sample(counts(160, lost=0)).loss == 0.0
