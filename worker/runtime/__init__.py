"""What does one worker process do? It serves a lane, sweeps for due rows, and watches which workers live."""
