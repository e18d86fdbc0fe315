/* An HTTP server of a few rules, for tests: each request takes the first rule that matches and is
 * not used up. */
#ifndef WEIR_TESTS_UNIT_S3_FAKE_SERVER_H
#define WEIR_TESTS_UNIT_S3_FAKE_SERVER_H

#include <pthread.h>
#include <stddef.h>

enum fake_action {
    FAKE_ANSWER,
    FAKE_CLOSE, /* reads the request, closes without a word */
    FAKE_HANG,  /* reads the request, says nothing for 8 s, closes */
    FAKE_CUT,   /* promises 10 bytes more than it sends */
};

struct fake_rule {
    const char *match; /* anywhere in the request's head and body */
    int times;         /* how often it serves; 0: always */
    enum fake_action action;
    int code;
    const char *headers; /* lines that end in \r\n; NULL: none */
    const char *body;    /* NULL: none */
    int served;
};

struct fake_server {
    int listener;
    char url[64]; /* http://127.0.0.1:port */
    pthread_t thread;
    struct fake_rule *rules;
    size_t rule_count;
    char log[1 << 20]; /* heads and text bodies of all requests, one after the other */
    size_t log_size;
    int request_count;
};

void fake_start(struct fake_server *server, struct fake_rule *rules, size_t rule_count);
void fake_stop(struct fake_server *server);

#endif
