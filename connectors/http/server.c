/* libmicrohttpd behind plain structs: collects a body, calls the handler, queues what it says. */
#include "connectors/http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    HEADER_MEMORY = 32 << 10, /* of a connection: request line and headers, and buffers */
    PEM_SIZE_MAX = 1 << 20,
    DISCARD_TIMES = 4, /* a body so many times too large is not read to its end */
};

struct weir_http_server {
    struct weir_http_server_options options;
    struct MHD_Daemon *daemon;
    struct weir_buffer certificate, key;
    atomic_int busy;
    bool quiet;
};

struct exchange {
    struct weir_http_request request; /* first: the handler's pointer is ours */
    struct weir_http_server *server;
    struct MHD_Connection *connection;
    struct weir_buffer body;
    size_t seen;
    bool handled, replied;
};

const char *weir_http_request_header(const struct weir_http_request *request, const char *name)
{
    return MHD_lookup_connection_value(((struct exchange *)request->connection)->connection,
                                       MHD_HEADER_KIND, name);
}

const char *weir_http_request_parameter(const struct weir_http_request *request, const char *name)
{
    return MHD_lookup_connection_value(((struct exchange *)request->connection)->connection,
                                       MHD_GET_ARGUMENT_KIND, name);
}

void weir_http_request_defer(struct weir_http_request *request)
{
    MHD_suspend_connection(((struct exchange *)request->connection)->connection);
}

void weir_http_request_reply(struct weir_http_request *request)
{
    struct exchange *exchange = request->connection;
    exchange->replied = true; /* seen by the polling thread: resuming orders it */
    MHD_resume_connection(exchange->connection);
}

/* ---- replies ---- */

static void add_headers(struct MHD_Response *response, const struct weir_http_reply *reply)
{
    char seconds[16];
    if (reply->content_type)
        MHD_add_response_header(response, "Content-Type", reply->content_type);
    if (reply->retry_after_seconds) {
        snprintf(seconds, sizeof seconds, "%d", reply->retry_after_seconds);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (reply->allow)
        MHD_add_response_header(response, "Allow", reply->allow);
    if (reply->authenticate)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (reply->replay)
        MHD_add_response_header(response, "Idempotent-Replay", "true");
    MHD_add_response_header(response, "Cache-Control", "no-store");
}

static enum MHD_Result queue_reply(struct exchange *exchange)
{
    const struct weir_http_reply *reply = &exchange->request.reply;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body.size, reply->body.size ? reply->body.data : (void *)(uintptr_t) "",
        MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    add_headers(response, reply);
    enum MHD_Result result = MHD_queue_response(exchange->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse_large(struct exchange *exchange)
{
    exchange->request.too_large = true;
    exchange->handled = true;
    atomic_fetch_add(&exchange->server->busy, 1);
    if (!exchange->server->options.handle(exchange->server->options.self, &exchange->request))
        return MHD_NO; /* a body that is not there is never deferred */
    return queue_reply(exchange);
}

/* ---- requests ---- */

static enum MHD_Result begin(struct weir_http_server *server, struct MHD_Connection *connection,
                             const char *url, const char *method, void **self)
{
    struct exchange *exchange;
    unsigned long long size = 0;
    if (weir_alloc_zero(server->options.account, 1, sizeof *exchange, &exchange, NULL) != WEIR_OK)
        return MHD_NO;
    *self = exchange;
    exchange->server = server;
    exchange->connection = connection;
    exchange->request = (struct weir_http_request){
        .method = method, .path = url, .connection = exchange};
    weir_buffer_init(&exchange->body, server->options.account);
    weir_buffer_init(&exchange->request.reply.body, server->options.account);
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    if (length && sscanf(length, "%llu", &size) == 1 &&
        size / DISCARD_TIMES > server->options.body_max)
        return refuse_large(exchange);
    return MHD_YES;
}

static enum MHD_Result collect(struct exchange *exchange, const char *data, size_t *size)
{
    struct weir_http_request *request = &exchange->request;
    exchange->seen += *size;
    if (exchange->seen > exchange->server->options.body_max)
        request->too_large = true;
    if (exchange->seen / DISCARD_TIMES > exchange->server->options.body_max)
        return MHD_NO;
    if (!request->too_large && !request->no_memory)
        request->no_memory = weir_buffer_append(&exchange->body, data, *size, NULL) != WEIR_OK;
    if (request->too_large || request->no_memory)
        weir_buffer_done(&exchange->body);
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **exchange_self)
{
    struct weir_http_server *server = self;
    struct exchange *exchange = *exchange_self;
    (void)version;
    if (!exchange)
        return begin(server, connection, url, method, exchange_self);
    if (*size)
        return collect(exchange, data, size);
    if (exchange->handled)
        return exchange->replied ? queue_reply(exchange) : MHD_YES;
    exchange->handled = true;
    exchange->request.body = (struct weir_bytes){exchange->body.data, exchange->body.size};
    atomic_fetch_add(&server->busy, 1);
    if (server->options.handle(server->options.self, &exchange->request))
        return queue_reply(exchange);
    return MHD_YES;
}

static void on_completed(void *self, struct MHD_Connection *connection, void **exchange_self,
                         enum MHD_RequestTerminationCode code)
{
    struct weir_http_server *server = self;
    struct exchange *exchange = *exchange_self;
    (void)connection;
    (void)code;
    if (!exchange)
        return;
    if (exchange->handled) {
        if (server->options.finished)
            server->options.finished(server->options.self, &exchange->request);
        atomic_fetch_sub(&server->busy, 1);
    }
    weir_buffer_done(&exchange->body);
    weir_buffer_done(&exchange->request.reply.body);
    weir_free(exchange);
    *exchange_self = NULL;
}

/* ---- the server ---- */

static weir_status read_pem(const char *path, struct weir_buffer *out, struct weir_error *reterr)
{
    char piece[4096];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : 0;
    weir_status status = WEIR_OK;
    while (file >= 0 && status == WEIR_OK && (got = read(file, piece, sizeof piece)) > 0)
        status = out->size + (size_t)got > PEM_SIZE_MAX
                     ? weir_fail(reterr, WEIR_USAGE, "%.500s: more than 1 MiB", path)
                     : weir_buffer_append(out, piece, (size_t)got, reterr);
    if (status == WEIR_OK && got < 0)
        status = weir_fail(reterr, WEIR_USAGE, "%.500s: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
    return status == WEIR_OK ? weir_buffer_append(out, "", 1, reterr) : status;
}

static weir_status read_tls(struct weir_http_server *server, struct weir_error *reterr)
{
    const struct weir_http_server_options *options = &server->options;
    if (!options->certificate_file)
        return WEIR_OK;
    WEIR_TRY(read_pem(options->certificate_file, &server->certificate, reterr));
    return read_pem(options->key_file, &server->key, reterr);
}

/* MHD says nothing of why it did not start; errno of bind is still there. */
static weir_status start(struct weir_http_server *server, const struct addrinfo *address,
                         struct weir_error *reterr)
{
    const struct weir_http_server_options *options = &server->options;
    bool tls = options->certificate_file != NULL;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_SOCK_ADDR, 0, address->ai_addr},
        {MHD_OPTION_THREAD_POOL_SIZE, options->threads, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, options->connections_max, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, options->idle_seconds, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADER_MEMORY, NULL},
        {MHD_OPTION_LISTENING_ADDRESS_REUSE, 1, NULL},
        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, server->certificate.data},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->key.data},
        {MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     (tls ? MHD_USE_TLS : 0) | (address->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    errno = 0;
    server->daemon = MHD_start_daemon(flags, (uint16_t)options->port, NULL, NULL, on_request,
                                      server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
                                      MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (server->daemon)
        return WEIR_OK;
    if (errno == EADDRINUSE || errno == EACCES || errno == EADDRNOTAVAIL)
        return weir_fail(reterr, errno == EADDRINUSE ? WEIR_UNAVAILABLE : WEIR_USAGE,
                         "listening on %s port %d: %s", options->host, options->port,
                         strerror(errno));
    if (!tls)
        return weir_fail(reterr, WEIR_IO, "listening on %s port %d: %s", options->host,
                         options->port, errno ? strerror(errno) : "the server did not start");
    return weir_fail(reterr, WEIR_USAGE,
                     "listening on %s port %d with TLS: %.300s and %.300s are no certificate and "
                     "its key in PEM",
                     options->host, options->port, options->certificate_file, options->key_file);
}

weir_status weir_http_server_new(const struct weir_http_server_options *options,
                                 struct weir_http_server **ret_server, struct weir_error *reterr)
{
    struct weir_http_server *server;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM},
                    *address;
    char port[16];
    bool any = !*options->host || strcmp(options->host, "*") == 0;
    snprintf(port, sizeof port, "%d", options->port);
    if (getaddrinfo(any ? "0.0.0.0" : options->host, port, &hints, &address) != 0)
        return weir_fail(reterr, WEIR_USAGE, "%.200s is no address to listen on", options->host);
    weir_status status = weir_alloc_zero(options->account, 1, sizeof *server, &server, reterr);
    if (status != WEIR_OK) {
        freeaddrinfo(address);
        return status;
    }
    server->options = *options;
    weir_buffer_init(&server->certificate, options->account);
    weir_buffer_init(&server->key, options->account);
    status = read_tls(server, reterr);
    if (status == WEIR_OK)
        status = start(server, address, reterr);
    freeaddrinfo(address);
    if (status != WEIR_OK) {
        weir_http_server_free(server);
        return status;
    }
    *ret_server = server;
    return WEIR_OK;
}

int weir_http_server_port(const struct weir_http_server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon,
                                                           MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : server->options.port;
}

void weir_http_server_quiesce(struct weir_http_server *server)
{
    if (server->quiet)
        return;
    server->quiet = true;
    int listening = MHD_quiesce_daemon(server->daemon);
    if (listening >= 0)
        close(listening);
}

int weir_http_server_busy(const struct weir_http_server *server)
{
    return atomic_load(&((struct weir_http_server *)(uintptr_t)server)->busy);
}

void weir_http_server_free(struct weir_http_server *server)
{
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    weir_buffer_done(&server->certificate);
    weir_buffer_done(&server->key);
    weir_free(server);
}
