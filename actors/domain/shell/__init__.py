"""What a line of bash does, as far as reading it tells: the simple commands in it, the files it opens, what it sets.

``syntax`` has the parser, ``reading`` makes a ``Script`` of its tree, ``wrappers`` knows the programs that run others,
``line`` brings these together. ``wide`` reads what the parser does not understand, for rules that deny. ``looking``
knows the lines that only read. All of it is a function of the text: nothing runs, nothing looks at a disk.
"""
