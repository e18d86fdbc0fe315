/* Inside the gateway: what its parts share. Locks are never held across calls of another part. */
#ifndef WEIR_SCHEDULER_GATEWAY_GATEWAY_INT_H
#define WEIR_SCHEDULER_GATEWAY_GATEWAY_INT_H

#include "connectors/http/server.h"
#include "connectors/kafka/producer.h"
#include "connectors/spool/spool.h"
#include "engine/vec/decode.h"
#include "formats/codec/codec.h"
#include "scheduler/gateway/gateway.h"

#include <pthread.h>

enum {
    GATEWAY_RECORDS_MAX = 100000, /* of one request */
    GATEWAY_ERRORS_MAX = 100,     /* told of one request; the rest is counted */
    GATEWAY_TOKENS_MAX = 100000,
    GATEWAY_TENANT_SIZE = 256,
    GATEWAY_HEADER_SIZE_MAX = 255, /* of X-Weir-Device and its like, and of Idempotency-Key */
    GATEWAY_GROUP_MAX = 512,       /* requests in one sync of the spool */
    GATEWAY_SEND_RECORDS = 5000,   /* in one transaction */
    GATEWAY_SEND_BYTES = 8 << 20,
};

/* ---- body.c ---- */

/* What is wrong with a request as a whole; status 0: nothing. */
struct problem {
    unsigned status;
    const char *code; /* static, documented */
    char words[240];
    int retry_after_seconds;
};
void problem_set(struct problem *problem, unsigned status, const char *code, const char *format,
                 ...) WEIR_PRINTF(4, 5);

/* Content-Encoding: NULL, identity, gzip, zstd. The decoded bytes are body or in out. */
weir_status body_decode(struct weir_account *account, const char *encoding, struct weir_bytes body,
                        size_t limit, struct weir_buffer *out, struct weir_bytes *ret_body,
                        struct problem *problem, struct weir_error *reterr) WEIR_MUST_CHECK;
/* One object, an array of them, or one on each line; `lines`: the last for certain. The records
 * point into body. */
weir_status body_split(struct weir_arena *arena, struct weir_bytes body, bool lines,
                       struct weir_bytes **ret_records, uint32_t *ret_count,
                       struct problem *problem, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- check.c ---- */

struct checker;
struct source {
    const struct weir_source_config *config;
    const struct weir_table_config **tables;
    size_t table_count;
    struct weir_type *columns; /* by table: with ids */
    struct weir_arena arena;
    pthread_mutex_t lock;
    struct checker *idle; /* one for each request that is being checked */
    /* send.c */
    pthread_t thread;
    bool has_thread;
    struct weir_kafka_sender *sender;
    atomic_int_least64_t sent, position, transactions;
    atomic_bool reached; /* Kafka answers */
};

struct refused {
    uint32_t record, position;
    const char *reason, *message, *table;
};
/* Of one record; data NULL: not there. */
struct marks {
    struct weir_bytes device, boot, sequence;
};
struct check_result {
    struct refused *refused; /* by record, one for each */
    uint32_t refused_count;
    bool *bad;
    struct marks *marks;
    bool foreign; /* a record of another tenant is among them */
};
struct check_options {
    const struct weir_gateway_config *config;
    const char *tenant; /* the token's; NULL: any */
};
weir_status source_init(struct source *source, struct weir_account *account,
                        const struct weir_pipeline *pipeline, const char *name,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
void source_done(struct source *source);
weir_status source_check(struct source *source, struct weir_account *account,
                         const struct check_options *options, const struct weir_bytes *records,
                         uint32_t count, struct weir_arena *arena, struct check_result *ret_result,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- tokens.c ---- */

struct token {
    char tenant[GATEWAY_TENANT_SIZE], digest[65];
    double left; /* requests */
    int64_t at_ms;
};
struct tokens {
    const char *path;
    struct weir_account *account;
    int64_t rate, burst;
    pthread_mutex_t lock;
    struct token *list;
    size_t count;
    int64_t looked_ms, size;
    struct {
        int64_t seconds, nanoseconds;
    } changed;
};
/* USAGE with the line that is wrong. */
weir_status tokens_init(struct tokens *tokens, const struct weir_gateway_config *config,
                        struct weir_account *account, struct weir_error *reterr) WEIR_MUST_CHECK;
void tokens_done(struct tokens *tokens);
/* Whose it is, and whether it may ask now. false: nobody's. ret_wait_ms > 0: too often. */
bool tokens_admit(struct tokens *tokens, const char *authorization, int64_t now_ms,
                  char ret_tenant[GATEWAY_TENANT_SIZE], int64_t *ret_wait_ms);

/* ---- metrics.c ---- */

enum counted {
    COUNTED_ACCEPTED, /* records */
    COUNTED_REFUSED,
    COUNTED_REPEATED, /* requests */
    COUNTED_BYTES,
    COUNTED_SYNCS,
    COUNTED_KINDS
};
#define STATUS_SLOTS 512

/* ---- gateway.c ---- */

struct gateway;
struct work { /* one POST, from its handler to its reply */
    struct work *next;
    struct gateway *gateway;
    struct weir_http_request *http;
    struct weir_arena arena;
    struct weir_buffer body; /* decompressed */
    struct weir_spool_put put;
    char repeat_key[65], body_digest[65], tenant[GATEWAY_TENANT_SIZE];
    uint32_t accepted;
};

struct gateway {
    struct weir_context *context;
    const struct weir_pipeline *pipeline;
    const struct weir_gateway_config *config;
    struct weir_account account;
    struct weir_spool *spool;
    struct weir_http_server *server;
    struct tokens tokens;
    struct source *sources;
    size_t source_count;
    atomic_bool closing; /* new POSTs are refused */
    atomic_bool ending;  /* the writer and the senders end */
    atomic_int_least64_t counted[COUNTED_KINDS];
    atomic_int_least64_t answered[STATUS_SLOTS]; /* by status - 100 */
    pthread_mutex_t lock;                        /* of the queue */
    pthread_cond_t work, arrived;
    struct work *first, *last;
    uint64_t arrivals; /* groups on disk so far */
    pthread_t writer;
    bool has_writer;
    atomic_bool spool_failed;
};

/* handle.c */
bool gateway_handle(void *self, struct weir_http_request *request);
void gateway_finished(void *self, struct weir_http_request *request);
/* gateway.c: the request's reply comes from the writer. */
void gateway_enqueue(struct gateway *gateway, struct work *work);

/* answer.c */
void answer_problem(struct weir_http_request *request, const struct problem *problem);
void answer_text(struct weir_http_request *request, unsigned status, const char *type,
                 const char *text);
weir_status answer_taken(struct weir_buffer *out, uint32_t accepted,
                         const struct check_result *result,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status answer_refused(struct weir_http_request *request, const struct check_result *result,
                           uint32_t count, struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status metrics_print(struct gateway *gateway, struct weir_buffer *out,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* send.c */
struct sending {
    struct gateway *gateway;
    struct source *source;
};
weir_status sender_start(struct gateway *gateway, struct source *source,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
void sender_end(struct source *source);

#endif
