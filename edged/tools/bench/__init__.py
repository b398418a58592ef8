"""``edged bench``: how right, how fast and how large classifiers are on this board, to choose between them.

::

    main: plan ─▶ rounds ──BenchRequest──▶ worker.bench: one process per measurement, without a network
            │        ▲                       │ photographs ─▶ tensors ─▶ invoke, timed
            │        └──────── figures ──────┘
            └─▶ run: JSON, table ──▶ draw: one process, which has matplotlib

Pixels, numpy and TFLite stay in those processes, so a model that crashes its runtime, or hangs, costs a line
of the table. What they run is what a worker of the daemon runs: the same reading of files, the same
preparation, the same runtime with the same environment, the same decoding.

Each measurement is done in rounds, and between two rounds of one all the others have their turn, the second
time in the opposite order: whatever else the board does, or how hot it gets, meets all of them alike.
"""

from edged.tools.bench.options import Options
from edged.tools.bench.rounds import Watcher
from edged.tools.bench.run import Bench

__all__ = ["Bench", "Options", "Watcher"]
