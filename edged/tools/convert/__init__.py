"""``edged convert``: makes a .tflite of a model that TensorFlow saved, and runs it before it is believed.

::

    main: source ─▶ conversion ──ConvertRequest──▶ worker.convert: TensorFlow, without a network
            │            ▲                            │ scores of the source, float32 and quantised files
            │            └────────────────────────────┘
            └─▶ trial ──RunRequest──▶ worker.run_converted: one process for each file and runtime
                  │  ▲                  │ scores
                  │  └──────────────────┘
                  └─▶ verdict ─▶ OUT.tflite, OUT.tflite.json; or a refusal, and no file
"""

from edged.tools.convert.conversion import Conversion, Options

__all__ = ["Conversion", "Options"]
