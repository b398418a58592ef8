from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sources.keyword_features import CHANNELS, KeywordFeatures

# What pymicro-features 2.0.2 makes of ``sound()``, in the integers of the original, by row.
ORIGINAL = {
    0: "624 586 635 578 627 579 635 581 620 579 616 588 642 587 637 587 640 586 636 593 640 588 644 "
    "590 644 590 646 587 641 590 646 592 646 592 641 592 646 593 647 593",
    17: "507 378 497 457 518 422 493 446 520 344 441 258 391 222 417 133 411 369 473 410 507 392 478 "
    "394 520 438 502 450 526 432 461 402 489 455 544 442 533 436 482 342",
    30: "455 258 448 292 426 336 402 449 595 539 518 357 466 311 460 248 427 302 434 412 406 236 437 "
    "381 427 311 468 236 459 248 438 248 419 353 425 236 428 258 440 344",
    47: "177 248 351 266 366 0 287 0 436 266 236 0 0 334 382 133 306 0 371 0 203 318 274 0 391 297 "
    "274 203 351 248 302 0 302 0 331 0 236 177 339 0",
}
STEP = 10 / 256  # of these integers


def sound() -> np.ndarray:
    """Return half a second of noise that becomes louder, and then a tone of 700 Hz."""
    n = np.arange(8000, dtype=np.int64)
    noise = np.where(n < 3000, 0.3, 1.0) * ((n * n * 48271 % 65537) % 6001 - 3000)
    tone = 3000 * np.sin(2 * np.pi * 700 * n / 16000) * (n > 5000)
    return (np.round(noise + tone) / 32768).astype(np.float32)


def test_the_features_are_those_of_the_original() -> None:
    rows = KeywordFeatures().add(sound())[:, :CHANNELS]
    assert rows.shape == (48, CHANNELS)
    for number, numbers in ORIGINAL.items():
        right = np.array(numbers.split(), float) * STEP
        assert np.abs(rows[number] - right).max() < 8 * STEP, number
        assert np.abs(rows[number] - right).mean() < 2 * STEP, number


@given(st.lists(st.integers(0, 900), min_size=1, max_size=12), st.integers(1, 4))
def test_pieces_give_what_the_whole_gives(lengths: list[int], every: int) -> None:
    samples = sound()[: sum(lengths)]
    features, at, parts = KeywordFeatures(every), 0, []
    for length in lengths:
        parts.append(features.add(samples[at : at + length]))
        at += length
    whole = KeywordFeatures().add(samples)[::every]
    assert np.array_equal(np.concatenate(parts), whole)


def test_each_row_has_the_power_of_its_own_part() -> None:
    quiet = np.zeros(1600, np.float32)
    rows = KeywordFeatures().add(np.concatenate([quiet, np.tile(np.float32([0.5, -0.5]), 800)]))
    assert rows[0, CHANNELS] == 0
    assert rows[-1, CHANNELS] == pytest.approx(0.25)
    assert (rows[0, :CHANNELS] == 0).all()
