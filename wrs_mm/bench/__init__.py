"""The benchmark harness: plan → runs → results → statistics → report.

The modules meet only through data: ``plan`` makes run specs, ``runs`` and the executors turn each
into a folder with a ``result.json``, ``results`` gathers those into ``results.csv``, ``statistics``
and ``report`` read that file and nothing else. The division is benchopt's.
"""
