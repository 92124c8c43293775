"""Several processes that dub, behind one door: none of their visitors waits for another one's interpreter.

The front (``front``) lets requests in as a single server does and hands each on to the worker that has its session or
its room. Media go straight between a browser and its worker. A worker (``process``) is the whole studio without a door:
it answers on a socket of its own, and tells over a channel whom it has (``wire``) and how much it has to do (``gauge``,
``load``). Who has whom: ``roster``; which process of this machine is to have somebody new: ``crew``. Several machines
(``web/fleet``) have another ``Body`` for each worker (``worker``), and another way to choose.
"""
