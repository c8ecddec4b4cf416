"""Real server processes, threads and databases.

The site in tests/services/site is served by gunicorn (gthread, sync, --preload) and uvicorn, on a
database of its own that is made when the first test needs it and dropped at the end. Outside of
Django's test environment the feed polls, so it is these servers, not pytest's process, in which the
engines run.

Without DATABASE_URL a few tests run on a SQLite file. All of them need a service, for which
`.ci/services` cares (`make test-services`); by hand:

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/jwtsession python -m pytest tests/services
    DATABASE_URL=mysql://root@127.0.0.1:3306/jwtsession python -m pytest tests/services

Each file runs alone:

    test_core_*.py          the core's promises, a table of attacks on it, row by row
    test_ending.py           logout, password change, "log out everywhere" against another process
    test_late_answers.py     requests that are under way meanwhile, and answer afterwards
    test_parallel_writes.py  20 threads x 50 writes to one session; -s shows what Django's db keeps
    test_feed_processes.py   the feed under each kind of server, late transactions, a wrong clock
    test_feed_threads.py     threads that ask the feed while one of them reads it; needs nothing
    test_rotation_threads.py one browser's threads across rotations, copies, a restored database
    test_plans.py            how databases carry out each statement: no table is read whole
    test_session_limit.py    MAX_SESSIONS_PER_USER under parallel logins
    test_database.py         a small pool, REPEATABLE READ, deadlocks with clearing, time zones
    test_faults.py           a PostgreSQL server of its own, stopped and started under load; needs
                             PostgreSQL's server programs (PG_BIN names their folder), runs with a
                             postgres:// DATABASE_URL only

Needs gunicorn and uvicorn; the tests skip themselves without.
"""
