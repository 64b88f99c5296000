"""Real servers for msb-tls to talk to, under an authority of their own.

Authority(folder).pem, .sign(name...) -> (certificate, key) files.
Echo(authority, names): HTTP/1.1 over TLS; answers every request with what came
(head and body), so that the answer has the value, too. .requests: what came;
.chunks: how many of bodies.
"""
import pathlib
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def openssl(folder, *args):
    r = subprocess.run(["openssl", *args], cwd=folder, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


class Authority:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3", "-subj", "/CN=test authority")
        self.pem = (self.folder / "ca.pem").read_text()

    def sign(self, *names):
        stem = names[0].replace("*", "_")
        openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={names[0]}")
        (self.folder / f"{stem}.ext").write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
        openssl(self.folder, "x509", "-req", "-in", f"{stem}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{stem}.ext", "-out", f"{stem}.pem")
        return str(self.folder / f"{stem}.pem"), str(self.folder / f"{stem}.key")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        head = f"{self.requestline}\r\n{self.headers}".encode("latin-1")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("transfer-encoding"):
            body = self.read_chunks()
        answer = head + body
        self.server.requests.append(answer)
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET

    def read_chunks(self):
        body = b""
        while True:
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            self.server.chunks += 1
            if size == 0:
                return body

    def log_message(self, *_):
        pass


class Echo(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, authority, *names):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.chunks = [], 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.sign(*names))
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join(5)
        self.server_close()
