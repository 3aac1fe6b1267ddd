"""The report of a benchmark: tables in four formats, and one HTML page that needs no network.

``tables`` says what is compared, ``formats`` writes it; ``answers``, ``figures`` and ``gallery`` make the
rest of the page, ``sections`` what it shows of each recipe, and ``page`` puts it together. All of it lays out
what :mod:`wrs_mm.bench.statistics` found; nothing is computed here.
"""
