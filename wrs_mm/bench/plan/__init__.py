"""What is to be compared: the plan's file, its entries, and the config of each run that they stand for.

Read in this order, in which the modules import each other: ``mistakes``, ``yaml_lines`` (a mistake and its
line); ``config_keys``, ``links``, ``optimizers``, ``recipes``, ``spec``, ``splits`` (what a plan speaks of);
``search``, ``length``, ``halving`` (where and how long tuning looks); ``fields``, ``entries``, ``tuning``,
``plan`` (the plan itself); ``expansion``, ``resolve`` (its runs and their configs); ``differences``,
``comparison``, ``checks``, ``budget``, ``display`` (what is compared, whether it may be, and what it costs).
"""
