"""The command line: argv into calls, exceptions into messages, results into lines.

One thin file per command, each defining `command`; `main` lists them, runs one and answers for its end.  `options`
spells the options that commands share, `report` is the only way to the standard error, and `compute` readies the
processor or the GPU.  At module level a command imports click and its neighbours here; whatever else it needs is
imported by the first lines of its body, so that help, completion and usage errors cost nothing.
"""
