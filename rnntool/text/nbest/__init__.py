"""N-best lists: several hypotheses for each line of an input, with scores, in the formats of four families of programs.

A list is read as soon as its last line has arrived, which the first line of the next one shows.  Every reader gives the
lists in the order of the input they answer, and every writer writes what its reader reads.
"""
