/* An HTTP server over libmicrohttpd: whole requests in, whole replies out, from a few polling
 * threads. A request may be answered later and from any thread; nothing blocks meanwhile.
 *
 * Bounds: the body (beyond it the bytes are thrown away and `too_large` is set), connections, idle
 * time, bytes of headers. Bodies are memory of the account that the options name; when that is at
 * its limit, `no_memory` is set. Nothing of a request is ever written to a log. */
#ifndef WEIR_CONNECTORS_HTTP_SERVER_H
#define WEIR_CONNECTORS_HTTP_SERVER_H

#include "engine/base/context.h"

struct weir_http_server;

struct weir_http_reply {
    unsigned status;
    const char *content_type;  /* static */
    struct weir_buffer body;   /* of the request's account; the server's once the reply is given */
    int retry_after_seconds;   /* 0: no such header */
    const char *allow;         /* with 405; static */
    bool authenticate, replay; /* WWW-Authenticate: Bearer; Idempotent-Replay: true */
};

struct weir_http_request {
    const char *method, *path; /* without the query */
    struct weir_bytes body;
    bool too_large, no_memory; /* the body is not there */
    struct weir_http_reply reply;
    void *user;       /* the handler's */
    void *connection; /* the server's */
};

/* Value of a header (any case) or of the query; NULL without it. Valid until the reply is given. */
const char *weir_http_request_header(const struct weir_http_request *request, const char *name);
const char *weir_http_request_parameter(const struct weir_http_request *request, const char *name);

/* The handler fills request->reply and returns true; or calls weir_http_request_defer first of all,
 * hands the request to somebody who fills reply and calls weir_http_request_reply once, from any
 * thread, and returns false. `finished` (may be NULL) is called once for each request that was
 * handled, when nothing of it is used any more. */
struct weir_http_server_options {
    const char *host;                        /* a numeric address; "" or "*": all */
    int port;                                /* 0: any free one */
    const char *certificate_file, *key_file; /* PEM; NULL: plain HTTP */
    unsigned threads, connections_max;
    size_t body_max;
    int idle_seconds;
    struct weir_account *account;
    bool (*handle)(void *self, struct weir_http_request *request);
    void (*finished)(void *self, struct weir_http_request *request);
    void *self;
};

/* USAGE: address, certificate or key are wrong; UNAVAILABLE: the port is taken. */
weir_status weir_http_server_new(const struct weir_http_server_options *options,
                                 struct weir_http_server **ret_server,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
int weir_http_server_port(const struct weir_http_server *server);
void weir_http_request_defer(struct weir_http_request *request);
void weir_http_request_reply(struct weir_http_request *request);
/* No new connections from now on; those that are there are served. */
void weir_http_server_quiesce(struct weir_http_server *server);
/* Requests that have been handled and not been answered to their end. */
int weir_http_server_busy(const struct weir_http_server *server);
/* No request may be deferred any more. NULL-safe. */
void weir_http_server_free(struct weir_http_server *server);

#endif
