"""Broken input for everything that reads what others have made: ``PYTHONPATH=tests python -m fuzz`` (``make fuzz``).

Each kind of input (``kinds``) has whole files to begin with. Copies of them are broken in ways that follow from a seed
(``breaking``), and read in a process of their own (``child``), which the parent watches (``watching``): a reader may
take what it is given or refuse it by one of the project's errors. Anything else counts against it: another error, a
crash, more than ten seconds, more memory than a limit. What did it is kept as a file.
"""
