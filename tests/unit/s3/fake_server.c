/* One thread, one connection at a time, "Connection: close" in every answer. */
#include "tests/unit/s3/fake_server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static const char fallback[] =
    "HTTP/1.1 418 No Rule\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/* Reads head and body; returns the size of both, 0 if the peer went away before. */
static size_t request_read(int peer, char *out, size_t capacity)
{
    size_t size = 0, wanted = 0;
    while (size + 1 < capacity) {
        ssize_t got = read(peer, out + size, capacity - 1 - size);
        if (got <= 0)
            break;
        size += (size_t)got;
        out[size] = '\0';
        char *end = strstr(out, "\r\n\r\n");
        if (end && !wanted) {
            char *length = strcasestr(out, "\r\ncontent-length:");
            wanted = (size_t)(end + 4 - out) +
                     (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        }
        if (wanted && size >= wanted)
            return size;
    }
    return 0;
}

static void answer_send(int peer, const struct fake_rule *rule, int is_head)
{
    char head[4096];
    const char *body = rule->body ? rule->body : "";
    size_t more = rule->action == FAKE_CUT ? 10 : 0;
    int own_length = rule->headers && strcasestr(rule->headers, "content-length:") != NULL;
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body) + more);
    int size = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n%s%sConnection: close\r\n\r\n",
                        rule->code, own_length ? "" : length, rule->headers ? rule->headers : "");
    if (write(peer, head, (size_t)size) < 0 || (!is_head && write(peer, body, strlen(body)) < 0))
        return;
}

static void serve(struct fake_server *server, int peer, char *text, size_t capacity)
{
    size_t size = request_read(peer, text, capacity);
    if (!size)
        return;
    size_t kept = size < sizeof server->log - server->log_size - 1
                      ? size
                      : sizeof server->log - server->log_size - 1;
    kept = kept < 20000 ? kept : 20000;
    memcpy(server->log + server->log_size, text, kept);
    for (size_t i = 0; i < kept; i++) /* so that strstr sees all of it */
        if (!server->log[server->log_size + i])
            server->log[server->log_size + i] = '.';
    server->log_size += kept;
    server->request_count++;
    for (size_t i = 0; i < server->rule_count; i++) {
        struct fake_rule *rule = &server->rules[i];
        if ((rule->times && rule->served >= rule->times) || !strstr(text, rule->match))
            continue;
        rule->served++;
        if (rule->action == FAKE_HANG)
            sleep(8);
        else if (rule->action != FAKE_CLOSE)
            answer_send(peer, rule, strncmp(text, "HEAD", 4) == 0);
        return;
    }
    if (write(peer, fallback, sizeof fallback - 1) < 0)
        return;
}

static void *serve_all(void *argument)
{
    struct fake_server *server = argument;
    size_t capacity = 12u << 20;
    char *text = malloc(capacity);
    for (int peer; text && (peer = accept(server->listener, NULL, NULL)) >= 0;) {
        serve(server, peer, text, capacity);
        shutdown(peer, SHUT_WR);
        close(peer);
    }
    free(text);
    return NULL;
}

void fake_start(struct fake_server *server, struct fake_rule *rules, size_t rule_count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(server, 0, sizeof *server);
    server->rules = rules;
    server->rule_count = rule_count;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(server->listener, 64) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &size) != 0)
        abort();
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    if (pthread_create(&server->thread, NULL, serve_all, server) != 0)
        abort();
}

void fake_stop(struct fake_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    close(server->listener);
    pthread_join(server->thread, NULL);
}
