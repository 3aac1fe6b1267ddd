"""A study in one small file: packed on one machine, unpacked on another, and merged there.

- ``archive``: the file, the same bytes for the same content;
- ``contents``, ``detections``, ``data_only``: which files of a run go in, in which form, and what must not;
- ``manifest``: what a pack says of itself, and what is checked before it is believed;
- ``merge``: one plan out of what several packs have of it;
- ``pack``, ``unpack``: the two commands.
"""
