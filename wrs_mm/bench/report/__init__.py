"""The report of a benchmark: tables in four formats, and one HTML page that needs no network.

``tables`` says what is compared, ``formats`` writes it; ``curves``, ``figures``, ``gallery`` and
``answers`` make the rest of the page, ``page`` puts it together. All of it reads ``results.csv``, the runs'
logs and their saved predictions.
"""
