"""The command line: one module per verb, ``main`` and ``terminal``.

A verb's module has ``NAME``, ``HELP``, ``configure(parser)``, which adds its options, and ``run(arguments)``,
which returns one of the exit statuses of sysexits. Heavy modules are imported inside ``run``, so that
``--help`` answers at once.
"""
