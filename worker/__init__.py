"""The engine room: the processes, their sweep, the supervisor and the commands."""
