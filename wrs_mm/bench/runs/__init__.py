"""One run: its folder, the process that trains it, and what that writes down.

In the order in which a run goes through them:

- ``work_dir``, ``folder``, ``records``: where its files lie, and what they say;
- ``worker``, ``signals``, ``machine``: the process that works on it;
- ``training``: from config to result;
- ``instrument``, ``hooks``, ``evaluation``, ``iou_recorder``: what the harness adds to a recipe;
- ``checkpoints``, ``validations``, ``metrics``, ``predictions``: what is kept, and gone on from;
- ``snapshot``, ``display``, ``status_table``: what a person sees of it.
"""
