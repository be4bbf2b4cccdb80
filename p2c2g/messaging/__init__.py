"""How it travels: Celery's transport and result backend, and the two ends of a results stream.

Only this package and :mod:`p2c2g.celery` know which broker there is.
"""
