// A server of HTTP/1.1 and HTTP/2 that writes down each request: one line of JSON in a file.
//
//	node echo.js ADDRESS PORT KEY CERT LOG FOLDER
//
//	/sink/...	"ok BYTES SHA256" of the body
//	/echo/...	the request's headers, and its body
//	/to/NAME/PATH	a redirect to https://NAME/PATH
//	/file/NAME	a file of FOLDER
//	/gzip/...	the headers, compressed
//	/chunks/...	the headers, a few bytes at a time
//
// An answer says nothing of a request's headers where it is not asked for that: it goes into the guest.
'use strict';
const crypto = require('crypto'), fs = require('fs'), http2 = require('http2'), path = require('path'), zlib = require('zlib');
const [address, port, key, cert, log, folder] = process.argv.slice(2);
const KEPT = 65536;

function record(req, bytes, sha256, parts) {
  const headers = {};
  for (const [name, value] of Object.entries(req.headers)) headers[name] = value;
  return {version: req.httpVersion, method: req.method, url: req.url, host: req.headers[':authority'] || req.headers.host,
    headers, trailers: req.trailers, bytes, sha256, body: bytes <= KEPT ? Buffer.concat(parts).toString('latin1') : null};
}

const answers = {
  sink: (res, r) => res.end(`ok ${r.bytes} ${r.sha256}`),
  echo: (res, r) => res.end(JSON.stringify(r)),
  to: (res, r) => {
    const [, , name, ...rest] = r.url.split('/');
    res.writeHead(302, {location: `https://${name}/${rest.join('/')}`});
    res.end();
  },
  file: (res, r) => {
    const file = path.join(folder, path.basename(r.url));
    res.writeHead(200, {'content-length': fs.statSync(file).size});
    fs.createReadStream(file).pipe(res);
  },
  gzip: (res, r) => {
    res.writeHead(200, {'content-encoding': 'gzip'});
    res.end(zlib.gzipSync(JSON.stringify(r)));
  },
  chunks: async (res, r) => {
    const text = JSON.stringify(r);
    for (let i = 0; i < text.length; i += 7) {
      res.write(text.slice(i, i + 7));
      await new Promise(setImmediate);
    }
    res.end();
  },
};

const server = http2.createSecureServer({key: fs.readFileSync(key), cert: fs.readFileSync(cert), allowHTTP1: true});
server.on('request', (req, res) => {
  const hash = crypto.createHash('sha256'), parts = [];
  let bytes = 0;
  req.on('data', (d) => {
    hash.update(d);
    bytes += d.length;
    if (bytes <= KEPT) parts.push(d);
  });
  req.on('error', () => {});
  req.on('end', () => {
    const r = record(req, bytes, hash.digest('hex'), parts);
    fs.appendFileSync(log, JSON.stringify(r) + '\n');
    (answers[req.url.split('/')[1]] || answers.sink)(res, r);
  });
});
server.on('sessionError', () => {});
server.listen(Number(port), address);
