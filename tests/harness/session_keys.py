"""STS and S3 at one address, before a real S3 server: AssumeRole gives keys that end, with a session policy; requests signed with
such keys are checked as AWS checks them (signature, token, end, policy) and signed anew for the server behind, which checks that.
Requests with any other keys are handed on as they are."""
import datetime, fnmatch, hashlib, hmac, http.client, http.server, json, threading, time, urllib.parse

import services


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def signature(secret, scope, method, path, query, headers, names, payload):
    """Of AWS Signature Version 4. `headers` in lower case; `query` as it came."""
    date, region, service, _ = scope.split("/")
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    canonical = "\n".join([method, path, "&".join(sorted(query.split("&"))) if query else "", lines, ";".join(names), payload])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Front(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, s3):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.sessions, self.used, self.refused = s3.address.removeprefix("http://"), {}, 0, []
        self.stillborn = None  # keys for what this text is in the policy of have ended when they come
        self.lock = threading.Lock()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a killed client

    def end(self, text):
        """All keys that were given for what `text` is in the policy of have ended; nobody was told when."""
        with self.lock:
            for each in self.sessions.values():
                if text in json.dumps(each["policy"]):
                    each["ends"] = 0

    def assume(self, form):
        with self.lock:
            number = len(self.sessions) + 1
            session = {"id": f"SESSION{number:06}", "secret": f"session-secret-{number}", "token": f"session+token/{number}==", "ends": time.time() + 3600}
            session["policy"] = json.loads(form.get("Policy", ['{"Statement": []}'])[0])["Statement"]
            if self.stillborn and self.stillborn in json.dumps(session["policy"]):
                session["ends"] = 0
            self.sessions[session["id"]] = session
        return (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
            f"<AccessKeyId>{session['id']}</AccessKeyId><SecretAccessKey>{session['secret']}</SecretAccessKey><SessionToken>{session['token']}</SessionToken>"
            f"<Expiration>{stamp(time.time() + 3600)}</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/x/y</Arn>"
            "<AssumedRoleId>A:y</AssumedRoleId></AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
        )


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, headers, body):
        self.send_response_only(code)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length" if self.command != "HEAD" else ""):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, code, name, message):
        self.server.refused.append(name)
        text = f"<Error><Code>{name}</Code><Message>{message}</Message></Error>".encode()
        self.answer(code, [("content-type", "application/xml")], b"" if self.command == "HEAD" else text)

    def may(self, session, path, query):
        """Does the session's policy let it do this?"""
        bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
        action = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "DELETE": "s3:DeleteObject"}.get(self.command, "s3:PutObject") if key else "s3:ListBucket"
        resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
        prefix = dict(urllib.parse.parse_qsl(query)).get("prefix", "")
        listed = lambda value: value if isinstance(value, list) else [value]
        for each in session["policy"]:
            wanted = each.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
            if each["Effect"] == "Allow" and action in listed(each["Action"]) and any(fnmatch.fnmatchcase(resource, one) for one in listed(each["Resource"])):
                if not wanted or any(fnmatch.fnmatchcase(prefix, one) for one in listed(wanted)):
                    return True
        return False

    def handle_any(self):
        front, body = self.server, self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.command == "POST" and path == "/" and b"Action=AssumeRole" in body:
            return self.answer(200, [("content-type", "text/xml")], front.assume(urllib.parse.parse_qs(body.decode())).encode())
        fields = dict(part.strip().split("=", 1) for part in headers.get("authorization", " ").split(" ", 1)[1].split(",") if "=" in part)
        name, _, scope = fields.get("Credential", "/").partition("/")
        session = front.sessions.get(name)
        if session:
            payload, names = headers.get("x-amz-content-sha256", ""), fields["SignedHeaders"].split(";")
            if headers.get("x-amz-security-token") != session["token"] or "x-amz-security-token" not in names:
                return self.refuse(403, "InvalidToken", "The provided token is malformed or otherwise invalid.")
            if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(body).hexdigest():
                return self.refuse(400, "XAmzContentSHA256Mismatch", "The provided hash is not that of the body.")
            if signature(session["secret"], scope, self.command, path, query, headers, names, payload) != fields["Signature"]:
                return self.refuse(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
            if time.time() > session["ends"]:
                return self.refuse(400, "ExpiredToken", "The provided token has expired.")
            if not self.may(session, path, query):
                return self.refuse(403, "AccessDenied", "Access Denied")
            front.used += 1
            headers = {name: value for name, value in headers.items() if name not in ("authorization", "x-amz-security-token")}
            headers["x-amz-date"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            scope = f"{headers['x-amz-date'][:8]}/{services.S3_REGION}/s3/aws4_request"
            names = sorted(name for name in headers if name == "host" or name.startswith("x-amz-"))
            signed = signature(services.S3_SECRET, scope, self.command, path, query, headers, names, payload)
            headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={services.S3_KEY}/{scope}, SignedHeaders={';'.join(names)}, Signature={signed}"
        connection = http.client.HTTPConnection(front.target, timeout=60)
        try:
            connection.request(self.command, self.path, body if "content-length" in headers else None, headers)
            answer = connection.getresponse()
            self.answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = handle_any
