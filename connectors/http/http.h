/* HTTP requests over libcurl: what S3, STS, instance metadata and REST catalogs share.
 *
 * A client keeps a pool of connections and may be used from many threads at once; each call takes
 * one handle of the pool and blocks. (A pool of easy handles instead of one multi handle: libcurl's
 * shared connection cache is not safe between threads, and our callers are threads already.) No
 * redirects, no retries, no cookies, HTTP/1.1: what is sent is exactly what the caller signed.
 * `Expect: 100-continue` is off.
 *
 * Any answer of the server, 503 too, is status OK here; response.code says which. Without one:
 *
 *   UNAVAILABLE      certainly not sent: no address, no connection, no TLS session
 *   UNKNOWN_OUTCOME  sent in part or whole, no whole answer: a write may have taken place
 *   REFUSED          the server's certificate, or ours, was not accepted (not sent)
 *   CORRUPT          the answer is larger than allowed (a write may have taken place)
 *   USAGE            a malformed URL or header (not sent)
 *   STOPPED, INTERRUPTED, TIMEOUT
 *                    the context was asked to stop; not for writes that may have been sent */
#ifndef WEIR_CONNECTORS_HTTP_HTTP_H
#define WEIR_CONNECTORS_HTTP_HTTP_H

#include "engine/base/context.h"

struct weir_http_client;

struct weir_http_options {
    const char *tls_ca_file;   /* NULL: the system's */
    const char *tls_cert_file; /* client certificate, PEM; NULL: none */
    const char *tls_key_file;
    int64_t connect_timeout_ms; /* 0: 10 s */
    int64_t stall_timeout_ms;   /* no byte moved for so long; 0: 30 s */
};

/* The options' texts are copied. Free after all calls have returned; NULL-safe. */
weir_status weir_http_client_new(struct weir_context *context,
                                 const struct weir_http_options *options,
                                 struct weir_http_client **ret_client,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_http_client_free(struct weir_http_client *client);

struct weir_http_request {
    const char *method;         /* "GET", "HEAD", "PUT", "POST", "DELETE" */
    const char *url;            /* percent-encoded already */
    const char *const *headers; /* "name: value" lines */
    size_t header_count;
    const void *body; /* stays the caller's until the call returns */
    size_t body_size;
    bool has_body;              /* send a body, even one of 0 bytes */
    bool fresh_connection;      /* one of its own: libcurl cannot send the request twice unasked */
    bool no_proxy;              /* link-local services */
    bool is_write;              /* has an effect: when asked to stop, waits 3 s for the answer */
    int64_t timeout_ms;         /* of the whole; 0: none */
    int64_t connect_timeout_ms; /* 0: the client's */
    uint64_t response_size_max; /* of the body; 0: no limit but memory */
};

struct weir_http_response {
    long code;
    struct weir_buffer *body;   /* the caller's, appended to, also by errors; NULL: thrown away */
    struct weir_buffer headers; /* raw lines of the last answer; freed by weir_http_response_done */
    bool maybe_sent;            /* set on failures too */
};

void weir_http_response_done(struct weir_http_response *response);

/* On failure response->body may hold part of an answer. */
weir_status weir_http_send(struct weir_http_client *client, const struct weir_http_request *request,
                           struct weir_http_response *response,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* Value of a header (name in any case) into ret_value, cut at size; false if it is not there. */
bool weir_http_header(const struct weir_http_response *response, const char *name, char *ret_value,
                      size_t size);

/* Appends text with each byte but A-Z a-z 0-9 - . _ ~ (and '/' if keep_slash) as %XX, RFC 3986. */
weir_status weir_http_escape(struct weir_buffer *out, const char *text, size_t size,
                             bool keep_slash, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
