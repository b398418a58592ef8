"""The bundled model of replies: what it answers to wording that was held out, and how it was built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from build_replies import OTHERS, PATTERN_FILE, sentences, train

from edged.inference import model as models
from edged.inference.text_ids import TextPreparer
from edged.models import bundled, loaded_model, runtimes, text_classifier
from edged.models.spec import TextInput

FOLDER = Path(__file__).parent / "replies"


class Replies:
    def __init__(self, runtime: str) -> None:
        loaded = loaded_model.load(
            bundled.REPLIES, sha256=bundled.REPLIES_SHA256, inspect=text_classifier.spec
        )
        assert isinstance(loaded.spec.input, TextInput)
        self._prepare, self.labels = TextPreparer(loaded.spec.input).prepare, loaded.labels
        self._model = models.open_model(loaded, runtime=runtime, threads=1)

    def scores(self, texts: list[str]) -> np.ndarray:
        """Return ``[texts, replies]``."""
        rows = [self._model.invoke(self._prepare(text))[0].reshape(-1) for text in texts]
        return (np.stack(rows).astype(np.float32) + 128) / 256


def judged(replies: Replies, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of the right reply, and the best score, for each message of a file."""
    found = sentences(FOLDER / file)
    texts = [text for label in replies.labels for text in found[label]]
    right = np.repeat(np.arange(len(replies.labels)), [len(found[label]) for label in replies.labels])
    scores = replies.scores(texts)
    return (scores > scores[np.arange(len(right)), right][:, None]).sum(axis=1), scores.max(axis=1)


@pytest.mark.parametrize("runtime", list(runtimes.available()))
def test_held_out_messages_get_their_reply(runtime: str) -> None:
    replies = Replies(runtime)
    assert bundled.REPLIES.stat().st_size < 300_000
    assert len(replies.labels) == 16
    place, best = judged(replies, "held_out.txt")
    assert len(place) == 160
    assert np.mean(place == 0) >= 0.95
    assert np.mean(place < 3) >= 0.98
    place, best = judged(replies, "unlike.txt")
    first, three, kept = np.mean(place == 0), np.mean(place < 3), np.mean(best >= 0.5)
    print(f"unlike: {first:.3f} first, {three:.3f} of three, {kept:.3f} kept")
    assert np.mean(place == 0) >= 0.84
    assert np.mean(place < 3) >= 0.93
    assert np.mean(place[best >= 0.5] == 0) >= 0.85
    others = replies.scores(sentences(FOLDER / "held_out.txt")[OTHERS]).max(axis=1)
    assert np.mean(others < 0.5) >= 0.9
    nonsense = replies.scores(["xqzv blorft", "Σφήκα 蜂", "", "0x7f 3141592", "."]).max(axis=1)
    assert nonsense.max() < 0.5


def test_no_message_that_is_held_out_is_a_training_sentence() -> None:
    held_out = {text for lines in sentences(FOLDER / "held_out.txt").values() for text in lines}
    held_out |= {text for lines in sentences(FOLDER / "unlike.txt").values() for text in lines}
    single = sentences(FOLDER / "sentences.txt")
    assert len(single) == 17
    assert all(len(lines) >= 20 for lines in single.values())
    assert set(sentences(FOLDER / PATTERN_FILE)) == set(single)
    trained = {text for lines in single.values() for text in lines}
    assert not {text for text in trained & held_out if text not in _USUAL}


# What everybody says; the build leaves it out of the training.
_USUAL = frozenset({"where are you", "good night everyone"})


@pytest.mark.slow
def test_it_is_what_the_script_builds() -> None:
    replies, trained = Replies("auto"), train()
    assert trained.replies == replies.labels
    found = [text for lines in sentences(FOLDER / "held_out.txt").values() for text in lines]
    floats, stored = trained.scores(found), replies.scores(found)
    assert np.mean(floats.argmax(axis=1) == stored.argmax(axis=1)) >= 0.98
    assert np.abs(floats - stored).max() < 0.03
