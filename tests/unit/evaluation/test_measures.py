"""What is measured of takes: the order where it is known, ones for a clip against itself, and reasons for what is absent."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.audio import Waveform
from studio.errors import StudioError
from studio.evaluation.measures import Figures, Listeners, Subject, common_model, mean_of, measure, measure_all
from studio.evaluation.measures.encoders import XVectorEncoder, chosen_encoder
from studio.evaluation.measures.endings import after_last_word
from studio.evaluation.measures.wording import wording
from studio.listening.vad import find_speech
from tests.unit.evaluation import published_speaker_model
from tests.unit.evaluation.conftest import joined, noisy, silence


def test_a_clip_against_itself_is_the_same_voice_melody_and_words(
    listeners: Listeners, sounds: list[Waveform], said: dict[Path, str]
) -> None:
    sound, text = sounds[0], next(iter(said.values()))
    figures = measure(Subject(sound, text, "en", (sound,), text, sound), listeners)
    assert figures.similarity == pytest.approx(1.0, abs=1e-6)
    assert figures.pitch_correlation == pytest.approx(1.0, abs=1e-6)
    assert (figures.wer, figures.cer, figures.word_differences, figures.leaked_reference_words) == (0.0, 0.0, (), ())
    assert (figures.duration_ratio, figures.models["duration_ratio"]) == (1.0, "the recording")
    assert "faster-whisper" in figures.models["wer"]
    document = json.loads(json.dumps(figures.as_json()))
    assert Figures.from_json(document).as_json() == document
    assert set(document["absent"]) == {"ended", "rtf"}


def test_another_sentence_of_the_voice_has_another_melody(deaf: Listeners, sounds: list[Waveform]) -> None:
    one, other = sounds[:2]
    figures = measure(Subject(one, references=(other,), recording=other), deaf)
    assert figures.similarity is not None and 0.75 < figures.similarity < 0.99
    assert figures.pitch_correlation is not None and figures.pitch_correlation < 0.6
    from studio.listening.compiled import librosa

    slower = Waveform(librosa().effects.time_stretch(one.samples, rate=0.8), one.sample_rate)
    again = measure(Subject(slower, recording=one), deaf)
    assert again.pitch_correlation is not None and again.pitch_correlation > 0.9
    assert again.duration_ratio == pytest.approx(1.25, abs=0.05)


def test_noise_lowers_the_rating_of_the_background_in_order(sounds: list[Waveform]) -> None:
    clip = next(each for each in sounds if 1.3 < each.duration < 1.4)  # is one window, repeated
    takes = [clip, *(noisy(clip, level) for level in (20.0, 10.0, 0.0))]
    baks = [figures.bak for figures in measure_all(map(Subject, takes), Listeners(leave_out=("pitch",)))]
    assert None not in baks
    assert all(clean > worse + 0.1 for clean, worse in pairwise(baks)), baks  # type: ignore[operator]


def test_what_cannot_be_had_is_absent_with_its_reason_and_never_zero(deaf: Listeners, sounds: list[Waveform]) -> None:
    clip = sounds[0]
    for take in (
        Waveform(silence(0.0), 24_000),
        Waveform(silence(0.2), 24_000),
        Waveform(silence(3.0), 24_000),
        Waveform(clip.samples[24_000:28_800], 24_000),
    ):
        figures = measure(Subject(take, "Some words.", "en", (clip,), "Other words.", clip), deaf)
        document = figures.as_json()
        missing = {name for name, value in document.items() if value is None} - {"wer_model"}
        assert missing == set(figures.absent), missing ^ set(figures.absent)
        assert all(reason.endswith(".") and " " in reason for reason in figures.absent.values())
        assert {"similarity", "dnsmos", "pitch", "wer"} <= missing


def test_a_voice_is_never_compared_on_less_than_a_second(deaf: Listeners, sounds: list[Waveform]) -> None:
    clip = sounds[0]
    brief = Waveform(clip.samples[: round(0.9 * clip.sample_rate)], clip.sample_rate)
    assert "1 s of speech" in measure(Subject(brief, references=(clip,)), deaf).absent["similarity"]
    assert "reference" in measure(Subject(clip, references=(brief,)), deaf).absent["similarity"]
    enough = Waveform(clip.samples[: round(1.4 * clip.sample_rate)], clip.sample_rate)
    similarity = measure(Subject(enough, references=(clip,)), deaf).similarity
    assert similarity is not None and similarity > 0.7


def test_a_silent_take_has_lost_all_its_words(listeners: Listeners) -> None:
    figures = measure(Subject(Waveform(silence(1.0), 24_000), "Two words.", "en"), listeners)
    assert (figures.heard, figures.wer) == ("", 1.0)
    assert figures.word_differences == ({"said": "two words", "heard": ""},)


def test_many_at_once_are_what_each_is_alone_and_are_heard_once(
    tmp_path: Path, sounds: list[Waveform], monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = [sound for sound in sounds if 1.15 < sound.duration < 1.4]
    subjects = [Subject(sound, "Words.", references=(sounds[1],)) for sound in brief]
    together = list(measure_all(subjects, Listeners(folder=tmp_path)))
    for subject, figures in zip(subjects[:1], together, strict=False):
        alone = measure(subject, Listeners()).as_json()
        found = figures.as_json()
        assert found["similarity"] == pytest.approx(alone["similarity"], abs=2e-3)
        assert found["dnsmos"] == alone["dnsmos"]
        assert found["pitch"] == alone["pitch"]
    kept = Listeners(folder=tmp_path)

    def unasked(*_: Any) -> Any:
        raise AssertionError("what is kept was heard again")

    monkeypatch.setattr(kept.encoder, "vectors", unasked, raising=False)
    monkeypatch.setattr("studio.evaluation.measures.listeners.find_speech", unasked)
    monkeypatch.setattr("studio.listening.speech_quality.speech_quality", unasked)
    monkeypatch.setattr("studio.evaluation.measures.pitch.pitch_contour", unasked)
    copies = [dataclasses.replace(each, sound=Waveform(each.sound.samples.copy(), 24_000)) for each in subjects]
    assert [figures.as_json() for figures in measure_all(copies, kept)] == [each.as_json() for each in together]


def test_a_kept_value_that_is_damaged_is_heard_again(tmp_path: Path, sounds: list[Waveform]) -> None:
    first = measure(Subject(sounds[3]), Listeners(leave_out=("dnsmos",), folder=tmp_path)).as_json()
    for path in tmp_path.rglob("*.json"):
        path.write_text("{", encoding="utf-8")
    again = Listeners(leave_out=("dnsmos",), folder=tmp_path)
    assert measure(Subject(sounds[3]), again).as_json() == first


def test_figures_of_different_models_are_not_compared() -> None:
    one = Figures(1.0, similarity=0.8, wer=0.1, models={"similarity": "A 1", "wer": "W 1"})
    other = Figures(1.0, similarity=0.9, wer=0.3, models={"similarity": "B 2", "wer": "W 1"})
    assert mean_of("wer", [one, other]) == pytest.approx(0.2)
    assert common_model("wer", [one, other]) == "W 1"
    with pytest.raises(StudioError, match="A 1 and by B 2"):
        mean_of("similarity", [one, other])
    with pytest.raises(StudioError, match="cannot be compared"):
        common_model("similarity", [one, other])
    assert mean_of("similarity", [one, Figures(1.0)]) == 0.8
    assert one.key != other.key


def test_noise_after_the_last_word_is_noticed_and_a_quiet_end_is_not(sounds: list[Waveform]) -> None:
    sound, rng = sounds[0], np.random.default_rng(0)
    level = float(np.sqrt(np.mean(np.square(sound.samples))))
    quiet = joined(sound.samples, rng.standard_normal(24_000) * level * 0.005, rate=24_000)
    loud = joined(sound.samples, silence(0.6), rng.standard_normal(12_000) * level * 0.3, rate=24_000)
    for take, is_noise in ((sound, False), (quiet, False), (loud, True)):
        found = after_last_word(take, find_speech(sound), sound.duration)
        assert found is not None and found.is_noise is is_noise, found


def test_words_of_the_reference_that_leak_are_named() -> None:
    reference = "The quick brown fox jumped over the lazy dog."
    assert wording("We met at noon.", "dog. We met at noon.", reference_text=reference).leaked == ("dog",)
    assert wording("We met at noon.", "We met over the lazy noon.", reference_text=reference).leaked == (
        "over the lazy",
    )
    assert wording("We met at noon.", "We met the at noon.", reference_text=reference).leaked == ()
    assert wording("We met at noon.", "We met at noon.").leaked is None


def test_numbers_are_read_as_words_in_either_way() -> None:
    for text, heard in (
        ("In nineteen seventy-five he paid one hundred and five dollars.", "In 1975 he paid $105."),
        ("One thousand nine hundred seventy-five.", "1975"),
        ("It cost 1,234 pounds on the 3rd.", "It cost one thousand two hundred thirty four pounds on the third."),
        ("Fifty percent of 2.5", "50% of two point five."),
    ):
        assert wording(text, heard, language="en").wer == 0.0, (text, heard)
    assert wording("1.234 und 2,5", "eintausendzweihundertvierunddreißig und zwei Komma fünf", language="de").wer == 0.0


def test_a_model_of_the_hub_is_used_where_its_folder_is_given(tmp_path: Path, sounds: list[Waveform]) -> None:
    import torch
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    torch.manual_seed(0)
    config = WavLMConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, tdnn_dim=(16, 16, 16, 16, 48), xvector_output_dim=24,
    )  # fmt: skip
    folder = tmp_path / "tiny-wavlm-sv"
    WavLMForXVector(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    encoder = chosen_encoder(str(folder))
    figures = measure(Subject(sounds[0], references=(sounds[0],)), Listeners(encoder, leave_out=("dnsmos", "pitch")))
    assert figures.similarity == pytest.approx(1.0, abs=1e-5)
    assert figures.models["similarity"].startswith("tiny-wavlm-sv (")
    vector = encoder.vectors([(sounds[1], find_speech(sounds[1]))])[0]
    assert vector is not None and vector.shape == (24,)
    assert encoder.name != XVectorEncoder(_other(folder, tmp_path), "tiny-wavlm-sv").name
    with pytest.raises(StudioError, match="STUDIO_SPEAKER_MODEL"):
        chosen_encoder("nobody/has-this-model")
    (folder / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StudioError, match="tiny-wavlm-sv is no WavLM"):
        chosen_encoder(str(folder)).vectors([(sounds[1], find_speech(sounds[1]))])


def _other(folder: Path, beside: Path) -> Path:
    """The same with one weight changed."""
    import torch
    from transformers import WavLMForXVector

    model = WavLMForXVector.from_pretrained(folder)
    with torch.no_grad():
        model.feature_extractor.weight.add_(1.0)
    model.save_pretrained(beside / "other")
    return beside / "other"


def test_the_speaker_model_of_seed_tts_eval_is_read_as_it_was_published(tmp_path: Path, sounds: list[Waveform]) -> None:
    import torch

    from studio.evaluation.measures.wavlm_sv import _head, _renamed

    path = published_speaker_model.write(tmp_path / "wavlm_large_finetune.pth")
    encoder = chosen_encoder(str(path))
    figures = measure(Subject(sounds[0], references=(sounds[0],)), Listeners(encoder, leave_out=("dnsmos", "pitch")))
    assert figures.similarity == pytest.approx(1.0, abs=1e-5)
    assert figures.models["similarity"].startswith("WavLM SV of 2 layers (")
    one, other = (encoder.vectors([(sound, find_speech(sound))])[0] for sound in sounds[:2])
    assert one is not None and other is not None and one.shape == (24,) and float(one @ other) < 0.9999
    # What the head of the original code makes of these weights and frames.
    weights = {name: torch.from_numpy(each) for name, each in published_speaker_model.random_weights().items()}
    frames = np.random.default_rng(1).standard_normal((1, published_speaker_model.HIDDEN, 50)).astype(np.float32)
    with torch.inference_mode():
        vector = _head(weights)(torch.from_numpy(frames))[0]
    assert vector[:4].tolist() == pytest.approx([-1.4318296, -0.4301347, 1.0798552, -0.0294288], abs=1e-4)
    assert _renamed("layer_norm.weight") == "feature_projection.layer_norm.weight"
    assert _renamed("encoder.layers.1.self_attn_layer_norm.bias") == "encoder.layers.1.layer_norm.bias"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(StudioError, match=r"'wavlm_large_finetune.pth' is no speaker model"):
        assert chosen_encoder(str(path)).name
