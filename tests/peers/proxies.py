"""nginx and haproxy of Debian before two API processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.parts import UnpackedPart
from tests.support.ports import free_port, is_listening

_HAPROXY = """\
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  option httpchk GET /readyz
frontend door
  bind 127.0.0.1:{port}
  default_backend api
backend api
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
  default-server check inter 200ms fall 1 rise 1
  server one 127.0.0.1:{ports[0]}
  server two 127.0.0.1:{ports[1]}
"""
# fail_timeout is how long nginx takes a process for dead after a failure; its default of 10 s is in docs/production.md.
_NGINX = """\
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/answers;
  upstream api {{
    server 127.0.0.1:{ports[0]} fail_timeout=1s;
    server 127.0.0.1:{ports[1]} fail_timeout=1s;
    keepalive 8;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""


@contextmanager
def open_haproxy(folder: Path, ports: tuple[int, int]) -> Iterator[str]:
    """Run haproxy before the API processes on these ports, and yield its address."""
    part = UnpackedPart("haproxy", folder)
    port = free_port()
    path = part.write("haproxy.cfg", _HAPROXY.format(port=port, ports=ports))
    with part.running("/usr/sbin/haproxy", "-db", "-f", str(path), is_ready=lambda: is_listening(port)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def open_nginx(folder: Path, ports: tuple[int, int]) -> Iterator[str]:
    """Run nginx before the API processes on these ports, and yield its address."""
    part = UnpackedPart("nginx", folder)
    port = free_port()
    part.make_folder("var/log/nginx")
    part.make_folder("var/lib/nginx")
    path = part.write("nginx.conf", _NGINX.format(port=port, ports=ports, folder=folder))
    with part.running("/usr/sbin/nginx", "-c", str(path), is_ready=lambda: is_listening(port)):
        yield f"http://127.0.0.1:{port}"
