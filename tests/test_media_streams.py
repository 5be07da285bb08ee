"""agents.media.streams, libopus and plc: what a lossy network leaves of speech, measured by sound."""

import array
import itertools
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from agents.media import libopus
from agents.media.analysis import rms_level, similarity, tone_level
from agents.media.base import FRAME_BYTES, SILENCE
from agents.media.codec import OpusDecoder, OpusEncoder, make_encoder
from agents.media.files import ToneSource, read_wav
from agents.media.options import OpusOptions
from agents.media.pcm import mixed, to_wire
from agents.media.plc import ComfortNoise, Concealer
from agents.media.rtp import RtpPacket
from agents.media.sdp import Codec
from agents.media.specs import GREETING
from agents.media.streams import ReceiveStream, SendStream

OPUS = Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1")
PCMU = Codec(0, "PCMU", 8000)
EVENT = Codec(101, "telephone-event", 8000)
needs_libopus = pytest.mark.skipif(libopus.load() is None, reason="needs a libopus that can be loaded")


@cache
def speech() -> bytes:
    return read_wav(GREETING)


class Line:
    """One direction of a call over a network that loses packets at random."""

    def __init__(
        self,
        codec: Codec = OPUS,
        *,
        loss: float = 0.0,
        seed: int = 1,
        event: Codec | None = None,
        on_tone: Callable[[str], None] = lambda _tone: None,
        **options: Any,
    ) -> None:
        opus = OpusOptions(**options)
        self.send = SendStream(codec, event, ssrc=1, sequence=0, timestamp=0, opus=opus)
        self.receive = ReceiveStream((codec, event) if event else (codec,), on_tone)
        self.packets = self.size_bytes = 0
        self._loss, self._rng, self._now = loss, random.Random(seed), 0.0

    def pass_on(self, pcm: bytes) -> bytes:
        """Return what is heard of ``pcm``."""
        return b"".join(
            self.step(pcm[start : start + FRAME_BYTES])
            for start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
        )

    def step(self, frame: bytes | None) -> bytes:
        """Return the frame that is heard while ``frame`` is said; None: nothing is sent."""
        self._now += 0.02
        data = None if frame is None else self.send.step(frame)
        if data is not None:
            self.packets, self.size_bytes = self.packets + 1, self.size_bytes + len(data) - 12
            if self._rng.random() >= self._loss:
                self.hear(data)
        return self.receive.step()

    def hear(self, data: bytes | None) -> None:
        """Take a packet that somebody sent."""
        packet = None if data is None else RtpPacket.decode(data)
        if packet is not None:
            self.receive.receive(packet, self._now)


def likeness(loss: float, codec: Codec = OPUS, **options: Any) -> tuple[float, float]:
    """Return how like the speech is to what is heard of it, and its energy, as means of three networks."""
    scores, energies = [], []
    for seed in (1, 2, 3):
        heard = Line(codec, loss=loss, seed=seed, **options).pass_on(speech())
        scores.append(similarity(speech(), heard).score)
        energies.append((rms_level(heard) / rms_level(speech())) ** 2)
    return sum(scores) / 3, sum(energies) / 3


@needs_libopus
@pytest.mark.parametrize("bit_rate", [24_000, 32_000, 48_000])
def test_of_speech_with_5_percent_loss_next_to_nothing_is_missing(bit_rate: int) -> None:
    whole, _ = likeness(0.0, bit_rate=bit_rate)
    score, energy = likeness(0.05, bit_rate=bit_rate)
    assert whole > 0.93  # a packet was skipped once: on this network less delay was enough
    assert score > whole - 0.02
    assert energy > 0.85


@needs_libopus
def test_of_speech_with_20_percent_loss_all_can_be_understood_thanks_to_error_correction() -> None:
    score, energy = likeness(0.2)
    without, less_energy = likeness(0.2, fec=False)
    assert score > 0.9
    assert score > without + 0.02
    assert energy > max(0.65, less_energy)


@needs_libopus
def test_what_the_far_end_misses_is_prepared_for() -> None:
    line = Line(loss=0.2)
    line.send.expect_loss(0.2)
    line.pass_on(speech())
    lost = line.receive.recovered + line.receive.concealed
    assert line.receive.recovered > lost * 0.35


@needs_libopus
@pytest.mark.parametrize("bit_rate", [24_000, 32_000, 48_000])
def test_the_bit_rate_is_the_one_asked_for(bit_rate: int) -> None:
    line = Line(bit_rate=bit_rate)
    line.pass_on(speech())
    assert line.size_bytes * 8 / (line.packets * 0.02) == pytest.approx(bit_rate, rel=0.15)


@needs_libopus
def test_with_dtx_silence_costs_nothing_and_speech_is_as_good() -> None:
    pause = bytes(96000 * 4)
    line = Line(dtx=True)
    line.pass_on(speech())
    before = line.packets
    line.pass_on(pause)
    assert line.packets - before < 200 * 0.4
    heard = line.pass_on(speech())
    assert similarity(speech(), heard).score > 0.9
    assert rms_level(Line().pass_on(pause)) < 0.0001


def test_g711_hides_losses_instead_of_playing_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = likeness(0.0, PCMU)
    score, energy = likeness(0.2, PCMU)
    monkeypatch.setattr(Concealer, "conceal", lambda _self, count: bytes(2 * count))
    with_holes, less_energy = likeness(0.2, PCMU)
    assert whole > 0.93
    assert score > whole - 0.09
    assert score > with_holes + 0.02
    assert energy > less_energy


def packets_of(milliseconds: int, pcm: bytes) -> list[RtpPacket]:
    """Return sound as a far end sends it whose packets are as long as that."""
    encoder, size = make_encoder("PCMU", OpusOptions()), 8 * milliseconds
    sound = b"".join(encoder.encode(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES))
    return [
        RtpPacket(0, number, at, 1, sound[at : at + size], number == 0)
        for number, at in enumerate(range(0, len(sound) - size + 1, size))
    ]


@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
def test_what_comes_after_a_lost_packet_is_heard_at_its_place_in_time(milliseconds: int) -> None:
    line, tone = ReceiveStream((PCMU,), lambda _tone: None), ToneSource(440)
    said = bytes(96 * 5 * milliseconds) + b"".join(tone.read() for _ in range(5))
    for packet in packets_of(milliseconds, said)[:6]:
        if packet.sequence != 3:
            line.receive(packet, 0.0)
    heard = array.array("h")
    while line.buffered or len(heard) < len(said) // 2:
        heard.frombytes(line.step())

    assert line.stats.lost == 1
    onset = next(at for at, sample in enumerate(heard) if abs(sample) > 1000) / 48
    assert onset == pytest.approx(5 * milliseconds, abs=2)


@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40])
def test_a_voice_that_breaks_off_is_continued_without_holes(milliseconds: int) -> None:
    line, tone = ReceiveStream((PCMU,), lambda _tone: None), ToneSource(200)
    for packet in packets_of(milliseconds, b"".join(tone.read() for _ in range(12))):
        line.receive(packet, 0.0)
    while line.buffered:
        line.step()
    line.step()  # what is left of the last packet, and what follows it
    first, second = line.step(), line.step()

    assert rms_level(first[FRAME_BYTES // 2 :]) > 0.25 * rms_level(first[: FRAME_BYTES // 2])
    assert rms_level(first) > rms_level(second)


def test_a_lost_piece_of_a_voice_is_continued_at_its_pitch_and_fades() -> None:
    concealer, tone = Concealer(48000), ToneSource(200)
    concealer.heard(b"".join(tone.read() for _ in range(5)))
    made = [concealer.conceal(960) for _ in range(5)]
    assert tone_level(made[0], 200) > 0.17
    levels = [rms_level(frame) for frame in made]
    assert levels == sorted(levels, reverse=True)
    assert levels[4] == 0.0
    samples = array.array("h", made[0])
    assert max(abs(b - a) for a, b in itertools.pairwise(samples)) < 400  # no click


def test_nothing_is_made_up_before_anything_was_heard() -> None:
    assert Concealer(48000).conceal(960) == SILENCE
    assert Line().step(None) == SILENCE


def noisy(level: float) -> bytes:
    rng = random.Random(9)
    return to_wire(array.array("h", (round(rng.gauss(0, level * 32768)) for _ in range(96000 * 2))))


def test_a_far_end_that_falls_silent_is_followed_by_the_noise_of_its_room() -> None:
    line, room = Line(PCMU), noisy(0.002)
    line.pass_on(room)
    line.pass_on(mixed(speech()[: len(room)], room[: len(speech())]))
    heard = line.pass_on(room)
    after = [line.step(None) for _ in range(60)]
    assert rms_level(b"".join(after[20:])) == pytest.approx(rms_level(heard), rel=0.4)


def test_a_digitally_silent_far_end_and_one_that_plays_a_tone_leave_silence_behind() -> None:
    for pcm in (bytes(96000 * 4), b"".join(ToneSource(440).read() for _ in range(200)) * 2):
        line = Line()
        line.pass_on(pcm)
        after = [line.step(None) for _ in range(60)]
        assert rms_level(b"".join(after[20:])) < 0.0005


def is_heard(frames: list[bytes]) -> float:
    """Return the share of frames in which there is a tone."""
    return sum(rms_level(frame) > 0.05 for frame in frames) / len(frames)


def test_where_two_streams_overlap_the_newer_one_is_heard() -> None:
    line, old, tone = Line(PCMU), SendStream(PCMU, None, ssrc=2, sequence=9, timestamp=5), ToneSource(440)
    for _ in range(20):
        line.step(tone.read())
    line.send, old = SendStream(PCMU, None, ssrc=3, sequence=700, timestamp=1 << 31), line.send
    frames = []
    for _ in range(50):
        late = old.step(tone.read())
        line.hear(late)
        frames.append(line.step(tone.read()))
    assert is_heard(frames[5:]) > 0.95
    assert line.receive.report.ssrc == 3
    line.send = old  # it was not over: the one that took its place is
    assert is_heard([line.step(tone.read()) for _ in range(50)][-25:]) > 0.95


def test_keys_of_a_stream_of_their_own_are_heard_and_cost_the_sound_nothing() -> None:
    keys: list[str] = []
    line, tone = Line(PCMU, event=EVENT, on_tone=keys.append), ToneSource(440)
    gateway = SendStream(PCMU, EVENT, ssrc=2, sequence=9, timestamp=5)
    for _ in range(20):
        line.step(tone.read())
    gateway.dtmf.enqueue("5", 8000)
    frames = []
    while gateway.dtmf.is_sending:
        packet = gateway.step(SILENCE)
        line.hear(packet if gateway.packets <= 10 else None)
        frames.append(line.step(tone.read()))
    assert keys == ["5"]
    assert is_heard(frames) > 0.95
    assert line.receive.concealed == 0


def test_comfort_noise_that_nobody_agreed_on_is_no_loss() -> None:
    line, tone = Line(PCMU), ToneSource(440)
    for _ in range(20):
        line.step(tone.read())
    line.send._codec = Codec(13, "CN", 8000)
    for _ in range(20):
        line.step(SILENCE)
    assert line.receive.report.total_lost == 0
    line.send._codec = PCMU
    for _ in range(20):
        line.step(tone.read())
    assert (line.receive.report.total_lost, line.receive.concealed) == (0, 0)


def test_noise_is_as_loud_as_it_is_told_to_be_and_never_the_same() -> None:
    noise = ComfortNoise()
    assert noise.frame() == SILENCE
    room = noisy(0.003)
    for start in range(0, 150 * FRAME_BYTES, FRAME_BYTES):
        noise.heard(room[start : start + FRAME_BYTES])
    frames = [noise.frame() for _ in range(50)]
    assert rms_level(b"".join(frames)) == pytest.approx(noise.level, rel=0.1)
    assert noise.level == pytest.approx(0.003, rel=0.4)
    assert len(set(frames)) > 10


@pytest.mark.parametrize(
    ("fmtp", "expected"),
    [
        ("minptime=10;useinbandfec=1", OpusOptions(32_000, fec=True, dtx=False)),
        ("", OpusOptions(32_000, fec=False, dtx=False)),
        ("useinbandfec=1; maxaveragebitrate=20000; usedtx=1", OpusOptions(20_000, fec=True, dtx=True)),
        ("maxaveragebitrate=1", OpusOptions(6_000, fec=False, dtx=False)),
        ("maxaveragebitrate=lots;;=;useinbandfec", OpusOptions(32_000, fec=False, dtx=False)),
        ("maxaveragebitrate=" + "9" * 5000, OpusOptions(32_000, fec=False, dtx=False)),
    ],
)
def test_the_far_end_says_what_its_decoder_wants(fmtp: str, expected: OpusOptions) -> None:
    assert OpusOptions().for_peer(fmtp) == expected


def test_a_machine_without_libopus_makes_do_with_ffmpegs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libopus, "load", lambda: None)
    line = Line(loss=0.05)
    assert isinstance(line.send._encoder, OpusEncoder)
    heard = line.pass_on(speech())
    assert isinstance(line.receive._current, OpusDecoder)
    assert similarity(speech(), heard).score > 0.9


@needs_libopus
@pytest.mark.parametrize("payload", [b"", b"\xff", b"\xff\xff\xff", bytes(1275), b"\x78" * 40, b"\x03\x3f"])
def test_no_payload_of_a_far_end_does_more_than_sound_badly(payload: bytes) -> None:
    decoder = libopus.NativeDecoder(libopus.load())
    assert len(decoder.decode(payload)) <= 5760 * 2
    assert len(decoder.recover(payload)) <= 5760 * 2
    assert len(decoder.conceal()) <= 5760 * 2
