/* What the files of connectors/kafka share: the source, its connections, patience with brokers, and
 * their words. */
#ifndef WEIR_CONNECTORS_KAFKA_KAFKA_INT_H
#define WEIR_CONNECTORS_KAFKA_KAFKA_INT_H

#include "connectors/kafka/kafka.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <regex.h>

#define KAFKA_WORDS_SIZE      300
#define KAFKA_RECORD_OVERHEAD 400 /* bytes that a queued record costs librdkafka beside its own */

/* The last thing a broker, or librdkafka about one, complained of. Written from librdkafka's
 * threads. */
struct kafka_words {
    pthread_mutex_t lock;
    char text[KAFKA_WORDS_SIZE];
    char certificate[KAFKA_WORDS_SIZE]; /* why a broker's was not taken; "" if it was */
    int authentication_failures, certificate_failures; /* since the last success */
};

/* How a connection's queue is sized. librdkafka counts per partition when partitions have their own
 * queues. */
struct kafka_sizes {
    size_t partition_bytes; /* memory one partition may take: queue, fetch in flight, its
                               decompressed form */
    size_t active;          /* partitions fetched at once */
};

/* A connection made for reading; kept between readers, since a TLS and SASL handshake costs more
 * than a window. */
struct kafka_handle {
    rd_kafka_t *client;
    bool committed;
    struct kafka_sizes sizes;
};

struct kafka_source {
    struct weir_context *context;
    struct weir_account memory; /* below the context's */
    struct weir_arena arena;    /* options copied; dies with the source */
    struct weir_kafka_options options;
    bool is_regex;
    regex_t regex;
    const char *user,
        *password; /* sasl.username, sasl.password; "" if none: see kafka_wake_brokers */
    struct kafka_words words;
    pthread_mutex_t lock; /* of everything below */
    rd_kafka_t
        *query[2]; /* [committed]: answers ListOffsets with that isolation; made at first use */
    struct kafka_handle idle[2]; /* [committed]: client NULL = none kept */
    pthread_mutex_t probe_lock;  /* read_one: one partition is fetched by one at a time */
};

/* login.c: OAuth. Is the property one of a login's, and none of librdkafka's? */
bool kafka_login_property(const char *name);
/* Makes a client of this configuration ask for tokens, if the properties say so. */
weir_status kafka_login_attach(rd_kafka_conf_t *conf, const struct weir_kafka_property *properties,
                               size_t count, struct weir_error *reterr) WEIR_MUST_CHECK;
#define KAFKA_LOGIN_FAILED "Failed to acquire SASL OAUTHBEARER token: " /* librdkafka's words */
#define KAFKA_LOGIN_AWAY   "no answer yet: " /* in front of ours: what may pass */

/* properties.c */
weir_status kafka_topics_check(const struct weir_kafka_options *options,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
bool kafka_topic_is_regex(const char *text); /* "/.../" */
weir_status kafka_regex_compile(const char *topic, regex_t *ret_regex,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* A configuration with the user's properties and Weir's own; the caller's to give away or destroy.
 */
weir_status kafka_conf_new(const struct weir_kafka_options *options, bool committed,
                           const struct kafka_sizes *sizes, rd_kafka_conf_t **ret_conf,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* client.c */
weir_status kafka_client_new(struct kafka_source *source, bool committed,
                             const struct kafka_sizes *sizes, rd_kafka_t **ret_client,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* The source's connection for questions with this isolation. Not the caller's to destroy. */
weir_status kafka_query_client(struct kafka_source *source, bool committed, rd_kafka_t **ret_client,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void kafka_words_copy(struct kafka_source *source, char text[KAFKA_WORDS_SIZE]);
void kafka_words_clear(
    struct kafka_source *source); /* a call succeeded: earlier complaints are history */

weir_status kafka_status_of(rd_kafka_resp_err_t code);
bool kafka_is_unknown(
    rd_kafka_resp_err_t code); /* no such topic or partition, as far as that broker knows */
/* Fails with the status of `code`, its text, and the broker's last words if they are to the point.
 */
weir_status kafka_fail(struct kafka_source *source, rd_kafka_resp_err_t code,
                       struct weir_error *reterr, const char *format, ...) WEIR_MUST_CHECK
    WEIR_PRINTF(4, 5);

/* Patience: librdkafka's calls block; they are cut into slices short enough that a wish to stop is
 * soon seen. for (kafka_patience_init(&patience, source, client);;) { code = call(...,
 * patience.slice_ms); if (code == 0) break; WEIR_TRY(kafka_patience_again(&patience, code, reterr,
 * "asking for offsets"));
 *     } */
struct kafka_patience {
    struct kafka_source *source;
    rd_kafka_t *client;
    int64_t started_ms;
    int slice_ms;
};
void kafka_patience_init(struct kafka_patience *patience, struct kafka_source *source,
                         rd_kafka_t *client);
/* OK: try again with the new slice. Else the failure to return. */
weir_status kafka_patience_again(struct kafka_patience *patience, rd_kafka_resp_err_t code,
                                 struct weir_error *reterr, const char *what) WEIR_MUST_CHECK;
/* Waits for the event of an admin call; destroys nothing. The event is the caller's. */
weir_status kafka_event_wait(struct kafka_source *source, rd_kafka_queue_t *queue, const char *what,
                             rd_kafka_event_t **ret_event,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* metadata.c */
weir_status kafka_cluster_id(void *self, char ret_text[128],
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_partitions(void *self, struct weir_arena *arena,
                             struct weir_log_partition **ret_partitions, size_t *ret_count,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_is_compacted(void *self, const char *topic, bool *ret_compacted,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

/* offsets.c */
/* One ListOffsets request per leader. query: RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END, or a
 * time in ms; no record at or after that time gives -1. END is the last stable offset if committed,
 * else the high watermark. */
weir_status kafka_list_offsets(struct kafka_source *source, bool committed,
                               const struct weir_log_partition *partitions, size_t count,
                               int64_t query, int64_t *ret_offsets,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_offsets(void *self, const struct weir_log_partition *partitions, size_t count,
                          struct weir_log_offsets *ret_offsets,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_offsets_for_time(void *self, const struct weir_log_partition *partitions,
                                   size_t count, int64_t time_ms, int64_t *ret_offsets,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;

/* reader.c */
weir_status kafka_read_begin(void *self, const struct weir_log_partition *partitions,
                             const int64_t *from, const int64_t *to, size_t count, bool committed,
                             size_t prefetch_bytes, struct weir_log_reader **ret_reader,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_read_next(struct weir_log_reader *reader, size_t bytes_max, int64_t wait_ms,
                            size_t *ret_index, struct weir_log_batch *ret_batch,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void kafka_release(struct weir_log_reader *reader, struct weir_log_batch *batch);
void kafka_read_end(struct weir_log_reader *reader);
void kafka_record_of(const rd_kafka_message_t *message, bool headers,
                     struct weir_log_record *record);

/* probe.c */
weir_status kafka_read_one(void *self, const struct weir_log_partition *partition, int64_t offset,
                           struct weir_log_record *ret_record, struct weir_buffer *bytes,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* group.c */
weir_status kafka_mirror(void *self, const char *group, const struct weir_log_partition *partitions,
                         const int64_t *next, size_t count,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
