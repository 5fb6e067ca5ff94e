"""What the tests in Python share: processes that they start, clients with a memory, faults, and the polls for all of them.

Everything is imported by its place below the repository (`from Tests.kontor_testing.polling import eventually`), so programs and tests
are run from there, as modules: `python3 -m unittest ...`, `python3 -m Tests.Processes.load.soak`. Nothing touches `sys.path`.
"""
