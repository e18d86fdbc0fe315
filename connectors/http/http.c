/* The client's pool of libcurl handles and one blocking request. See http.h. */
#include "connectors/http/http.h"

#include "engine/base/limits.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IDLE_MAX        32   /* handles, each with its connections, kept for later calls */
#define STOP_GRACE_MS   3000 /* how long a write may go on after the wish to stop */
#define BODY_BELIEVED   (256L << 20)
#define TRANSFER_BUFFER (512L << 10)

struct weir_http_client {
    struct weir_context *context;
    char *tls_ca_file, *tls_cert_file, *tls_key_file;
    int64_t connect_timeout_ms, stall_timeout_ms;
    struct weir_arena texts;
    pthread_mutex_t lock; /* guards idle */
    CURL *idle[IDLE_MAX];
    size_t idle_count;
};

/* What the callbacks of one request see. */
struct transfer {
    struct weir_http_client *client;
    const struct weir_http_request *request;
    struct weir_http_response *response;
    CURL *handle;
    size_t body_start;
    int64_t stop_seen_ms;
    weir_status status; /* of the callback that broke the transfer off */
    struct weir_error error;
};

static weir_status copy_text(struct weir_arena *arena, const char *text, char **ret_copy,
                             struct weir_error *reterr)
{
    return text && *text ? weir_arena_copy(arena, text, strlen(text), ret_copy, reterr) : WEIR_OK;
}

weir_status weir_http_client_new(struct weir_context *context,
                                 const struct weir_http_options *options,
                                 struct weir_http_client **ret_client, struct weir_error *reterr)
{
    struct weir_http_client *client;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return weir_fail(reterr, WEIR_INTERNAL, "libcurl does not start");
    weir_status status = weir_alloc_zero(&context->memory, 1, sizeof *client, &client, reterr);
    if (status != WEIR_OK) {
        curl_global_cleanup();
        return status;
    }
    client->context = context;
    client->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : 10000;
    client->stall_timeout_ms = options->stall_timeout_ms ? options->stall_timeout_ms : 30000;
    weir_arena_init(&client->texts, &context->memory);
    pthread_mutex_init(&client->lock, NULL);
    WEIR_TRY_OUT(status,
                 copy_text(&client->texts, options->tls_ca_file, &client->tls_ca_file, reterr));
    WEIR_TRY_OUT(status,
                 copy_text(&client->texts, options->tls_cert_file, &client->tls_cert_file, reterr));
    WEIR_TRY_OUT(status,
                 copy_text(&client->texts, options->tls_key_file, &client->tls_key_file, reterr));
    *ret_client = client;
    return WEIR_OK;
out:
    weir_http_client_free(client);
    return status;
}

void weir_http_client_free(struct weir_http_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->idle_count; i++)
        curl_easy_cleanup(client->idle[i]);
    pthread_mutex_destroy(&client->lock);
    weir_arena_done(&client->texts);
    weir_free(client);
    curl_global_cleanup();
}

void weir_http_response_done(struct weir_http_response *response)
{
    if (response)
        weir_buffer_done(&response->headers);
}

/* Last in, first out: the warmest connection first, and cold ones die of old age. */
static CURL *handle_take(struct weir_http_client *client)
{
    CURL *handle = NULL;
    pthread_mutex_lock(&client->lock);
    if (client->idle_count)
        handle = client->idle[--client->idle_count];
    pthread_mutex_unlock(&client->lock);
    return handle ? handle : curl_easy_init();
}

static void handle_give(struct weir_http_client *client, CURL *handle)
{
    curl_easy_reset(handle); /* keeps the connections */
    pthread_mutex_lock(&client->lock);
    if (client->idle_count < IDLE_MAX) {
        client->idle[client->idle_count++] = handle;
        handle = NULL;
    }
    pthread_mutex_unlock(&client->lock);
    if (handle)
        curl_easy_cleanup(handle);
}

/* Room for the whole body at once, if its promised size is one that may be believed. */
static weir_status body_reserve(struct transfer *transfer)
{
    curl_off_t promised = 0;
    curl_easy_getinfo(transfer->handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &promised);
    if (promised <= 0 || promised > BODY_BELIEVED)
        return WEIR_OK;
    return weir_buffer_reserve(transfer->response->body, (size_t)promised + 1, &transfer->error);
}

static size_t on_body(char *data, size_t one, size_t size, void *argument)
{
    struct transfer *transfer = argument;
    struct weir_buffer *body = transfer->response->body;
    uint64_t most = transfer->request->response_size_max;
    if (!body)
        return size;
    if (most && body->size - transfer->body_start + size > most)
        transfer->status = weir_fail(&transfer->error, WEIR_CORRUPT,
                                     "the answer is larger than %llu bytes",
                                     (unsigned long long)most);
    else if (body->size == transfer->body_start)
        transfer->status = body_reserve(transfer);
    if (transfer->status == WEIR_OK)
        transfer->status = weir_buffer_append(body, data, size, &transfer->error);
    return transfer->status == WEIR_OK ? size : 0;
}

static size_t on_header(char *data, size_t one, size_t size, void *argument)
{
    struct transfer *transfer = argument;
    struct weir_buffer *headers = &transfer->response->headers;
    if (size >= 5 &&
        memcmp(data, "HTTP/", 5) == 0) { /* the answer after a 100, or of a resent request */
        weir_buffer_clear(headers);
        if (transfer->response->body)
            transfer->response->body->size = transfer->body_start;
    }
    if (headers->size + size > WEIR_HTTP_HEADER_SIZE_MAX)
        transfer->status = weir_fail(&transfer->error, WEIR_CORRUPT,
                                     "the answer's headers are larger than %u bytes",
                                     WEIR_HTTP_HEADER_SIZE_MAX);
    else
        transfer->status = weir_buffer_append(headers, data, size, &transfer->error);
    return transfer->status == WEIR_OK ? size : 0;
}

/* Called about once a second and when data moves: gives up when the run was asked to stop. */
static int on_progress(void *argument, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct transfer *transfer = argument;
    struct weir_context *context = transfer->client->context;
    if (weir_context_check(context, NULL) == WEIR_OK)
        return 0;
    int64_t now = weir_steady_ms(context);
    if (!transfer->stop_seen_ms)
        transfer->stop_seen_ms = now ? now : 1;
    if (transfer->request->is_write && now - transfer->stop_seen_ms < STOP_GRACE_MS)
        return 0;
    transfer->status = weir_context_check(context, &transfer->error);
    return 1;
}

static void set_tls(CURL *handle, const struct weir_http_client *client)
{
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (client->tls_ca_file)
        curl_easy_setopt(handle, CURLOPT_CAINFO, client->tls_ca_file);
    if (client->tls_cert_file)
        curl_easy_setopt(handle, CURLOPT_SSLCERT, client->tls_cert_file);
    if (client->tls_key_file)
        curl_easy_setopt(handle, CURLOPT_SSLKEY, client->tls_key_file);
}

static void set_times(CURL *handle, const struct weir_http_client *client,
                      const struct weir_http_request *request)
{
    int64_t connect = request->connect_timeout_ms ? request->connect_timeout_ms
                                                  : client->connect_timeout_ms;
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                     (long)((client->stall_timeout_ms + 999) / 1000));
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    if (request->timeout_ms)
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}

static void set_body(CURL *handle, const struct weir_http_request *request)
{
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request->has_body || request->body_size) {
        curl_easy_setopt(handle, CURLOPT_POST, 1L);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body_size ? request->body : "");
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
}

static bool append_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* libcurl adds "Expect" and a form's "Content-Type" by itself, unless told off. */
static weir_status set_headers(CURL *handle, const struct weir_http_request *request,
                               struct curl_slist **ret_list, struct weir_error *reterr)
{
    bool typed = false, kept = append_header(ret_list, "Expect:");
    for (size_t i = 0; i < request->header_count; i++) {
        if (strpbrk(request->headers[i], "\r\n"))
            return weir_fail(reterr, WEIR_USAGE, "a line break in the header \"%.40s\"",
                             request->headers[i]);
        typed |= strncasecmp(request->headers[i], "content-type:", 13) == 0;
        kept &= append_header(ret_list, request->headers[i]);
    }
    if (!typed)
        kept &= append_header(ret_list, "Content-Type:");
    if (!kept)
        return weir_fail(reterr, WEIR_NO_MEMORY, "the system gave no memory for headers");
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, *ret_list);
    return WEIR_OK;
}

static void set_rest(CURL *handle, struct transfer *transfer)
{
    const struct weir_http_request *request = transfer->request;
    curl_easy_setopt(handle, CURLOPT_URL, request->url);
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L); /* "a//b" and "%2E" are names here */
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, TRANSFER_BUFFER);
    curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER);
    curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, request->fresh_connection ? 1L : 0L);
    curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, request->fresh_connection ? 1L : 0L);
    if (request->no_proxy)
        curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
}

enum fault { FAULT_NOT_SENT, FAULT_MAYBE_SENT, FAULT_CERTIFICATE, FAULT_USAGE };

/* request_size: bytes of request headers that libcurl gave to a connection. */
static enum fault fault_of(CURLcode code, long request_size)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return FAULT_USAGE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CIPHER: return FAULT_CERTIFICATE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_FAILED_INIT: return FAULT_NOT_SENT;
    default: return request_size > 0 ? FAULT_MAYBE_SENT : FAULT_NOT_SENT;
    }
}

/* A proxy that did not let us through: nothing reached the server. */
static weir_status explain_proxy(const struct weir_http_request *request, long code,
                                 struct weir_error *reterr)
{
    const int host_size = (int)strcspn(request->url, "?");
    bool final = code == 407 || code == 403;
    weir_status status = weir_fail(reterr, final ? WEIR_DENIED : WEIR_UNAVAILABLE,
                                   "%s %.*s: the proxy answered %ld%s", request->method, host_size,
                                   request->url, code,
                                   code == 407   ? ": it wants a login"
                                   : code == 403 ? ": it does not let us go there"
                                                 : "");
    weir_error_hint(reterr, "HTTPS_PROXY=http://user:password@host:port names the proxy; hosts in "
                            "NO_PROXY are asked without it.");
    return status;
}

static weir_status explain(struct transfer *transfer, CURL *handle, CURLcode code,
                           const char *detail, struct weir_error *reterr)
{
    long request_size = 0;
    curl_easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &request_size);
    const struct weir_http_request *request = transfer->request;
    long proxy_code = 0;
    curl_easy_getinfo(handle, CURLINFO_HTTP_CONNECTCODE, &proxy_code);
    transfer->response->maybe_sent = false;
    if (proxy_code >= 300)
        return explain_proxy(request, proxy_code, reterr);
    enum fault fault = fault_of(code, request_size);
    const char *text = *detail ? detail : curl_easy_strerror(code);
    int host_size = (int)strcspn(request->url, "?"); /* a query may carry secrets */
    transfer->response->maybe_sent = fault == FAULT_MAYBE_SENT;
    if (transfer->status != WEIR_OK && (fault == FAULT_NOT_SENT || !request->is_write)) {
        if (reterr)
            *reterr = transfer->error;
        return transfer->status;
    }
    weir_status status;
    switch (fault) {
    case FAULT_USAGE:
        return weir_fail(reterr, WEIR_USAGE, "%s %.*s: %s", request->method, host_size,
                         request->url, text);
    case FAULT_CERTIFICATE:
        status = weir_fail(reterr, WEIR_REFUSED, "%s %.*s: %s", request->method, host_size,
                           request->url, text);
        weir_error_hint(
            reterr,
            "Name the certificate authority of that server (tls ca file), or its right host name.");
        return status;
    case FAULT_NOT_SENT:
        return weir_fail(reterr, WEIR_UNAVAILABLE, "%s %.*s: %s", request->method, host_size,
                         request->url, text);
    default:
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "%s %.*s: no whole answer: %s",
                         request->method, host_size, request->url, text);
    }
}

weir_status weir_http_send(struct weir_http_client *client, const struct weir_http_request *request,
                           struct weir_http_response *response, struct weir_error *reterr)
{
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    CURL *handle = handle_take(client);
    struct transfer transfer = {client, request, response, handle,
                                response->body ? response->body->size : 0};
    if (!handle)
        return weir_fail(reterr, WEIR_NO_MEMORY, "the system gave no memory for a connection");
    response->maybe_sent = false;
    response->code = 0;
    if (!response->headers.account)
        weir_buffer_init(&response->headers, &client->context->memory);
    weir_buffer_clear(&response->headers);
    set_rest(handle, &transfer);
    set_tls(handle, client);
    set_times(handle, client, request);
    set_body(handle, request);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
    weir_status status = set_headers(handle, request, &headers, reterr);
    if (status == WEIR_OK) {
        CURLcode code = curl_easy_perform(handle);
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &response->code);
        response->maybe_sent = true;
        /* A server that refuses may close before it has read the body: its refusal stands, cut or
         * not. */
        bool refused = response->code >= 400 &&
                       (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
                        code == CURLE_PARTIAL_FILE);
        if (code != CURLE_OK && !refused)
            status = explain(&transfer, handle, code, detail, reterr);
    }
    handle_give(client, handle);
    curl_slist_free_all(headers);
    return status;
}

bool weir_http_header(const struct weir_http_response *response, const char *name, char *ret_value,
                      size_t size)
{
    const char *at = (const char *)response->headers.data;
    const char *end = at ? at + response->headers.size : at;
    size_t name_size = strlen(name);
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end ? line_end : end;
        if ((size_t)(line_end - at) > name_size && at[name_size] == ':' &&
            strncasecmp(at, name, name_size) == 0) {
            const char *value = at + name_size + 1, *stop = line_end;
            while (value < stop && (*value == ' ' || *value == '\t'))
                value++;
            while (stop > value && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
                stop--;
            snprintf(ret_value, size, "%.*s", (int)(stop - value), value);
            return true;
        }
        at = line_end + 1;
    }
    return false;
}

weir_status weir_http_escape(struct weir_buffer *out, const char *text, size_t size,
                             bool keep_slash, struct weir_error *reterr)
{
    static const char digits[] = "0123456789ABCDEF";
    WEIR_TRY(weir_buffer_reserve(out, size * 3 + 1, reterr));
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool plain = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                     byte == '~' || (keep_slash && byte == '/');
        if (plain) {
            out->data[out->size++] = byte;
        } else {
            out->data[out->size++] = '%';
            out->data[out->size++] = (uint8_t)digits[byte >> 4];
            out->data[out->size++] = (uint8_t)digits[byte & 15];
        }
    }
    out->data[out->size] = '\0';
    return WEIR_OK;
}
