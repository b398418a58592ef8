"""The processes that hold pixels and have no network.

::

    main ──Order──▶ fork server            imported numpy, cv2 and the runtime; opened nothing; one thread
                        │ fork, twice, so that the worker is main's child and not the fork server's
                        ▼
                     worker                one for each CPU pipeline, one for all that share an Edge TPU
                        │ birth: descriptors, network, name, "die with main"
                        ▼
          ┌──────────────────────────────────────────────────────────────┐
          │ capture thread            main thread                        │
          │ source → quality →        model → task → decision → reports ─┼─pipe─▶ main
          │ tensor ──slot for one──▶                                     │
          │      both stamp the heartbeat, a page that main reads            │
          └──────────────────────────────────────────────────────────────┘

The capture thread prepares the next tensor while the model runs on the last one, so decoding and resizing
hide behind ``invoke``. It starts on a frame only when the one before was taken: nothing queues, nothing gets
old.

Main is the parent of every worker (it is their subreaper), so a fork server that dies takes nobody along.
"""
