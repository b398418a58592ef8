"""The processes that hold pixels and have no network.

::

    main ──Order──▶ fork server            imported numpy, cv2 and the runtime; opened nothing; one thread
                        │ fork
                        ▼
                     worker                one for each CPU pipeline, one for all that share an Edge TPU
                        │ startup: descriptors, network, name, "die with the fork server"
                        ▼
          ┌──────────────────────────────────────────────────────────────┐
          │ capture thread            main thread                        │
          │ source → quality →        model → task → decision → reports ─┼─pipe─▶ main
          │ tensor ──slot for one──▶                                     │
          │      both stamp the heartbeat, a page that main reads        │
          └──────────────────────────────────────────────────────────────┘

The capture thread prepares the next tensor while the model runs on the last one, so decoding and resizing
hide behind ``invoke``. It starts on a frame only when the one before was taken: nothing queues, nothing gets
old.

The fork server is the parent of every worker. All of them live in namespaces of their own
(:mod:`edged.system.namespaces`), or under systemd in a unit of another user, and die with it.
"""
