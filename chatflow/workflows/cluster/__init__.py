"""django-q2, made safe.

django-q2's worker loop, ORM broker, schedules and admin are used as they are. Its pusher, its
monitor and the queues between its processes are not: a worker that is killed while it holds such a
queue's lock stops the whole cluster for ever, and prefetched work runs twice. Here every worker
fetches for itself, straight from the jobs table. Beside the database its processes share a pipe of
rings and the file lock of their leader; neither can stop the others when a process dies.
"""
