"""The process that judges a recording as a pipeline would have, in the recording's own time.

::

    try ──request──▶ python -m edged.worker.replay ──{"picture": …}, {"note": …}, {"found": …}──▶ try

It runs the daemon's own :class:`~edged.worker.pipeline_runner.PipelineRunner`, with its capture, its model
and its decision, but on one thread and on a clock that stands where the recording stands. So a recording
gives the same decisions each time, whatever the machine is busy with. It has pixels, and no network.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from edged.config.needs import of_replay
from edged.config.pipeline import PipelineSection
from edged.errors import Reason, Unavailable
from edged.events import UNKNOWN
from edged.inference import runtime
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Heartbeat
from edged.ipc.replay_request import Judged, ReplayRequest
from edged.ipc.worker_order import PipelineOrder
from edged.sources.replay import RecordedTime
from edged.system import clock, kernel
from edged.system.child import serve
from edged.system.log import Notes
from edged.worker import masking, one_request
from edged.worker.engines import Files
from edged.worker.pipeline_runner import PipelineRunner

if TYPE_CHECKING:
    from edged.sources import FeedSource, Frame, Source, Text, Window
    from edged.system.child import Tell


class Named:
    """Remembers the names and times of the latest samples, by number: the motion gate may go back to one.

    Attributes:
        latest: the number of the one that was read last.
        dropped: as of a :class:`edged.sources.FeedSource`.
    """

    live = False

    def __init__(self, source: Source | FeedSource, time: RecordedTime) -> None:
        self._source = source
        self._time = time
        feed = cast("FeedSource", source) if hasattr(source, "dropped") else None
        self.dropped: Counter[str] = Counter() if feed is None else feed.dropped
        self._names: dict[int, tuple[str, float]] = {-1: ("", 0.0)}
        self.latest = -1

    def named(self, number: int | None) -> tuple[str, float]:
        """Return the name and the time of a picture; of the latest one where the number is not known."""
        return self._names.get(self.latest if number is None else number, self._names[self.latest])

    def open(self) -> None:
        """Open the source."""
        self._source.open()

    @property
    def begun(self) -> bool:
        """Return whether it is open, for a feed."""
        return getattr(self._source, "begun", True)

    def read(self, timeout_s: float) -> Any:
        """Return the next frame, window or text."""
        sample: Frame | Window | Text | None = self._source.read(timeout_s)
        if sample is not None:
            self._names = {
                self.latest: self._names[self.latest],
                sample.number: (sample.name, self._time.now()),
            }
            self.latest = sample.number
        return sample

    def idle(self, keep: int | None) -> None:
        """Do nothing: a recording waits."""

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class Kept:
    """What the pipeline reports about one picture."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.news: list[worker_messages.Outcome] = []
        self.result: worker_messages.Outcome | None = None
        self.fault = ""
        self.dropped: Counter[str] = Counter()

    def begin(self) -> None:
        """Forget the picture before."""
        self.news, self.result, self.fault = [], None, ""

    @property
    def anything(self) -> bool:
        """Return whether there is a result or news."""
        return self.result is not None or bool(self.news)

    def send(self, report: worker_messages.Report) -> None:
        """Keep what is about this picture; tell notes at once."""
        match report:
            case worker_messages.Outcome(type="result"):
                self.result = report
            case worker_messages.Outcome(type="heartbeat"):
                pass
            case worker_messages.Outcome():
                self.news.append(report)
            case worker_messages.Fault():
                self.fault = report.message
            case worker_messages.Note():
                self._tell({"note": report.message})
            case worker_messages.Beat():
                self.dropped = Counter(report.dropped)

    def offer(self, report: worker_messages.Report) -> None:
        """Keep it, too."""
        self.send(report)


class Replay:
    """One request.

    Args:
        request: the pipeline and its recording.
        tell: takes what goes back.
    """

    def __init__(self, request: ReplayRequest, tell: Tell) -> None:
        self._request = request
        self._tell = tell
        self.section = PipelineSection.model_validate(request.section)
        self._heartbeat = (
            Heartbeat.create()
        )  # nobody reads it; behind the walls there is no new memory to share
        self._time = RecordedTime()
        self._kept = Kept(tell)
        self._decision = UNKNOWN
        self._present: dict[str, int] = {}  # where each label is decided by itself

    def run(self) -> dict[str, Any]:
        """Judge every picture.

        Raises:
            ModelError: the model cannot be used.
            DriverError: the runtime is missing.
            Unavailable: the recording cannot be read.
        """
        runtime.preload(self.section.model.runtime)
        runner = self._runner()
        source: Named = runner.create_source()
        source.open()
        runner.capture.begin(source)
        seen = 0
        try:
            while self._request.count is None or seen < self._request.count:
                self._kept.begin()
                before = source.latest
                runner.capture.step(source)
                if source.latest == before and not self._kept.anything:
                    continue
                self._tell({"picture": self._judged(runner, source).to_data()})
                seen += 1
        except Unavailable as error:
            if error.reason is not Reason.ENDED:
                raise
        finally:
            source.close()
        return {"pictures": seen}

    def _runner(self) -> PipelineRunner:
        source = self.section.source
        at_once = {"interval_s": 0.0} if "interval_s" in type(source).model_fields else {}
        section = self.section.model_copy(update={"source": source.model_copy(update=at_once)})
        order = PipelineOrder(
            self._request.name, section.model_dump(mode="json"), results=True, threads=self._request.threads
        )
        runner = PipelineRunner(
            order, self._kept, self._heartbeat.model(), now=self._time.now, sleep=self._time.sleep
        )
        runner.load(
            self._heartbeat.capture(0),
            runner.take,
            Files(),
            create=lambda _config, hint: Named(
                masking.recorded(self.section.source, hint, self._time), self._time
            ),
        )
        runner.report_notes()
        return runner

    def _after(self, news: worker_messages.Outcome) -> str:
        """Return what is decided after news: a label, or with counts all labels that are there."""
        if news.count is None:
            return news.label
        gone = news.label == UNKNOWN
        label = news.previous if gone else news.label
        key = f"{label} ({news.zone})" if news.zone else label
        if gone:
            self._present.pop(key, None)
        else:
            self._present[key] = news.count
        there = sorted(self._present.items())
        return ", ".join(f"{each}: {n}" if n > 1 else each for each, n in there) or UNKNOWN

    def _judged(self, runner: PipelineRunner, source: Named) -> Judged:
        """Return what is known about the picture that was just read."""
        kept, result = self._kept, self._kept.result
        for news in kept.news:
            self._decision = self._after(news)
        kinds = tuple(news.type for news in kept.news)
        name, at_s = source.named(result.frame if result is not None else None)
        if result is None:
            before = kept.dropped
            runner.beat(clock.monotonic())
            reason = next(iter(kept.dropped - before), "early")
            return Judged(name, at_s, decision=self._decision, news=kinds, left_out=kept.fault or reason)
        return Judged(
            name,
            at_s,
            result.label,
            result.score,
            tuple((finding.label, finding.score) for finding in result.top),
            self._decision,
            kinds,
        )


def answer(request: bytes, tell: Tell) -> None:
    """Give up everything else, then judge the recording.

    Args:
        request: the pipeline and its recording.
        tell: takes what goes back.
    """
    kernel.name_process("edged-try")
    kernel.close_memory()
    replay = Replay(ReplayRequest.from_json(request), tell)
    logging.getLogger().addHandler(Notes(lambda said: tell({"note": said}), logging.WARNING))
    one_request.answer(of_replay(replay.section), replay.run, tell)


if __name__ == "__main__":
    serve(answer)
