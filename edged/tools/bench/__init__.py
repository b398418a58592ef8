"""``edged bench``: measures accuracy, speed and size of classifiers on this board, to choose between them.

::

    main: plan ─▶ rounds ──BenchRequest──▶ worker.bench: one process per measurement, without a network
            │        ▲                       │ photographs ─▶ tensors ─▶ invoke, timed
            │        └──────── figures ──────┘
            └─▶ run: JSON, table ──▶ draw: one process, which has matplotlib

Pixels, numpy and TFLite stay in those processes, so a model that crashes its runtime, or hangs, costs one
line of the table. They run the code of the daemon's workers: the same reading of files, the same preparation,
the same runtime in the same environment, the same decoding.

Measurements are made in interleaved rounds, every second one in the opposite order, so background load and
heat affect all of them equally.
"""

from edged.tools.bench.options import Options
from edged.tools.bench.rounds import Watcher
from edged.tools.bench.run import Bench
from edged.tools.bench.thresholds import line

__all__ = ["Bench", "Options", "Watcher", "line"]
