"""Text in, text out: files, vocabularies, units of text, corpora as ids on disk, and n-best lists.

Lines are UTF-8, end at a line feed and nowhere else, and are never skipped.  Ids are Python integers in lines and
numpy arrays of one dimension in corpora.  Nothing here knows of tensors or of the terminal.
"""
