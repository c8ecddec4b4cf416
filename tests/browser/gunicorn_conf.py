"""One process: the clock and what the engines remember are those of one."""

worker_class = "gthread"
threads = 8
loglevel = "warning"
control_socket_disable = True  # of newer gunicorns: all would open the same one
