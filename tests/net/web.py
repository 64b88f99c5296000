"""A web server in the guest, and how it is asked."""
import os
import textwrap

PYTHON = "/usr/bin/python3"


class Nginx:
    def __init__(self, net, folder):
        self.net, self.folder = net, folder
        self.log = folder / "access"
        (folder / "data").write_bytes(os.urandom(1 << 20) * 50)
        (folder / "conf").write_text(f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{ access_log {self.log}; keepalive_timeout 60; keepalive_requests 100000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 80 backlog=1024; listen [::]:80 backlog=1024; root {folder};
    location = /hi {{ return 200 hi; }} }} }}
""")
        self.start()

    def start(self):
        self.p = self.net.start(self.net.guest, "nginx", "-c", self.folder / "conf", "-e", self.folder / "error")
        self.net.listening(self.net.guest, 80)

    def stop(self):
        self.p.terminate()
        self.p.wait(10)


def curl(net, url, *options, ns=None, **kw):
    return net.run(ns or net.host, "curl", "-sS", "-g", "-m", "30", *options, url, **kw)


def python(net, ns, code, *args, timeout=60, check=True):
    code = "import socket, sys, time\n" + textwrap.dedent(code)
    r = net.run(ns, PYTHON, "-c", code, *args, timeout=timeout)
    assert r.returncode == 0 or not check, r.stderr.decode()
    return r.stdout.decode()
