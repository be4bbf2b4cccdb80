"""The boundary to the broker: nothing else but :mod:`p2c2g.celery` and workers know its libraries.

=========================================  ====================================================
question                                   module
=========================================  ====================================================
How do I reach the broker?                 :mod:`~p2c2g.messaging.broker`; its options and the
                                           type of a client: :mod:`~p2c2g.messaging.client`
What is it called there?                   :mod:`~p2c2g.messaging.names`; what may be a name:
                                           :mod:`~p2c2g.messaging.labels`
What happens where it is away?             :mod:`~p2c2g.messaging.errors`
What does it do in one step?               ``scripts/*.lua``
How does a chunk get to a peer?            :mod:`~p2c2g.messaging.dispatcher`, by way of
                                           ``publishing``, ``transport``, ``channel``
How does a worker read it?                 ``reading``, ``recalling``, ``readahead``
How does its result come back?             ``results``, ``writer``, :mod:`~p2c2g.messaging.inbox`
What else is kept there?                   :mod:`~p2c2g.messaging.blobs`
What can a worker be asked?                :mod:`~p2c2g.messaging.remote`, ``drain``, ``control``
Where does a broker come from in a demo?   :mod:`~p2c2g.messaging.embedded`
=========================================  ====================================================
"""
