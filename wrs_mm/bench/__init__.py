"""The benchmark harness: plan → runs → executors → statistics → report.

The packages meet only through data: ``plan`` makes run specs and their configs, ``runs`` and ``executors``
turn each into a folder with one ``result.json``, ``statistics`` gathers those once and computes every number,
``published`` and ``report`` lay numbers out. The division is benchopt's.
"""
