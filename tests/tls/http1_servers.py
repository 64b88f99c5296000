"""Servers of HTTP/1.1 over TLS for test_http1.py.

Raw(authority, *names): what came, byte for byte, by connection; what it answers
is a function of the test's. Nginx(authority, folder, *names): the real one; its
/echo answers with what it read: headers as they were, then the body.
"""
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time


class Raw:
    """@talk(conn, got) runs for each connection in a thread of its own; what it
    reads by got() is recorded in self.seen[number of the connection]."""

    def __init__(self, authority, *names):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*authority.sign(*names))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = self.listener.getsockname()
        self.seen, self.talk, self.errors = [], None, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        seen = bytearray()
        self.seen.append(seen)
        try:
            conn.settimeout(20)
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.wrap_socket(conn, server_side=True, suppress_ragged_eofs=False) as tls:
                def got(n=65536):
                    data = tls.recv(n)
                    seen.extend(data)
                    return data
                self.talk(tls, got)
        except OSError as e:
            self.errors.append(e)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


CONFIG = """
load_module modules/ngx_http_echo_module.so;
daemon off; master_process off; worker_processes 1;
pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 32m; client_max_body_size 64m;
  large_client_header_buffers 8 64k; underscores_in_headers on;
  keepalive_requests 10000; gzip on; gzip_min_length 1; gzip_types text/plain;
  server {{
    listen 127.0.0.1:{port} ssl; server_name {names};
    ssl_certificate {cert}; ssl_certificate_key {key};
    root {folder}/root;
    location /echo {{
      echo_read_request_body;
      echo -n $echo_client_request_headers;
      echo "";
      echo_request_body;
    }}
    location /small {{ client_max_body_size 1k; echo_read_request_body; echo ok; }}
  }}
}}
"""


class Nginx:
    def __init__(self, authority, folder, *names):
        folder = pathlib.Path(folder)
        cert, key = authority.sign(*names)
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.address = s.getsockname()
        (folder / "root").mkdir()
        self.root = folder / "root"
        # As root its workers would be another user, who may not look in here.
        conf = CONFIG.format(folder=folder, port=self.address[1], names=" ".join(names),
                             cert=cert, key=key)
        (folder / "conf").write_text(("user root;\n" if os.geteuid() == 0 else "") + conf)
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", "/usr/share/nginx", "-c", str(folder / "conf")],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._wait()

    def _wait(self):
        for _ in range(200):
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                socket.create_connection(self.address, 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("nginx does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()
