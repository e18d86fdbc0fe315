/* Sinks: receivers of changes that a table's snapshots brought. A sink is stateless: what has been
 * delivered is kept by scheduler/sink, which calls again, with the same changes in the same order,
 * whenever it is not sure that a delivery was taken. So a receiver must be able to tell a repeat:
 * by the id, or by key and version.
 *
 * Backing off and giving up are the caller's; a sink tries once and says what came of each change.
 */
#ifndef WEIR_CONNECTORS_SINK_SINK_H
#define WEIR_CONNECTORS_SINK_SINK_H

#include "engine/base/context.h"
#include "engine/vec/type.h"

enum weir_change_kind { WEIR_CHANGE_INSERT, WEIR_CHANGE_UPDATE, WEIR_CHANGE_DELETE };

/* One row's change. All text is UTF-8 and stays the caller's. */
struct weir_sink_change {
    enum weir_change_kind kind;
    const char *id;  /* of this very change; the same again when it is repeated: 32 hex digits */
    const char *key; /* of the row, readable: one column's text, or several with '|' between */
    struct weir_bytes key_json; /* {"device_id":"d1","policy_id":"p1"} */
    struct weir_bytes row;      /* the columns to send, one JSON object; DELETE: as they were */
    int64_t version;            /* grows from snapshot to snapshot of the table; positive */
    int64_t snapshot_id;
    int64_t committed_ms; /* when the snapshot was committed */
};

enum weir_sink_answer {
    WEIR_SINK_TAKEN,  /* also: has it already, or a newer version */
    WEIR_SINK_LATER,  /* this one not now (busy): try again */
    WEIR_SINK_REFUSED /* this one not, and trying the same again is not likely to help */
};
struct weir_sink_result {
    enum weir_sink_answer answer;
    char reason[240]; /* LATER, REFUSED: the receiver's words, cut; no values of rows by us */
};

struct weir_sink_operations {
    const char *kind; /* "webhook", "opensearch", "kafka" */
    /* Once before the first delivery of a run: is the receiver there, may we; makes what it needs
     * (an index with a mapping from `row`, a STRUCT of the columns that are sent). Safe to repeat.
     * UNAVAILABLE: not reached; DENIED: login; REFUSED or USAGE: cannot work as configured. */
    weir_status (*prepare)(void *self, const struct weir_type *row, struct weir_error *reterr);
    /* What would a delivery meet? Reaches the receiver, logs in, looks for the place; makes and
     * sends nothing. row NULL: not known yet. ret_words: what was found, one line. Errors as those
     * of prepare; REFUSED also if the receiver's clock is too far from ours for a signature. */
    weir_status (*probe)(void *self, const struct weir_type *row, char *ret_words, size_t size,
                         struct weir_error *reterr);
    /* Sends changes and waits for the answers; at most batch_max of them, those of one key next to
     * each other: these keep their order. OK: results[i]
     * is filled for each i. Otherwise nothing is known of any: UNAVAILABLE (away, busy as a whole,
     * 5xx; *ret_wait_ms is how long it asked us to wait, else 0), DENIED, REFUSED. */
    weir_status (*deliver)(void *self, const struct weir_sink_change *changes, size_t count,
                           struct weir_sink_result *results, int64_t *ret_wait_ms,
                           struct weir_error *reterr);
    void (*free)(void *self);
};

struct weir_sink {
    const struct weir_sink_operations *operations;
    void *self;
    size_t batch_max; /* changes a call of deliver may have; at least 1 */
    bool tells_each;  /* LATER is said of that change, not of all that went out with it */
};

struct weir_sink_tls {
    const char *ca_file, *cert_file, *key_file; /* NULL: none */
};

/* POST of JSON, signed as "Standard Webhooks" say (webhook-id, webhook-timestamp,
 * webhook-signature: v1,base64(HMAC-SHA256(key, id.timestamp.body))). Body of one change:
 * {"id","sink","table","change","key":{...},"row":{...},"snapshot","version","committed_at"}; with
 * batch above 1 an array of them, webhook-id being that of the first one. 2xx: taken. 408, 425,
 * 429, 5xx: later (Retry-After is heard). 401, 403, 407: DENIED; 3xx, 404, 405, 410, 411, 415, 426:
 * REFUSED as a whole; other 4xx: REFUSED each, a batch in halves first. A call takes 256 requests;
 * they go out side by side, those of neighbours with the same key behind each other. */
struct weir_webhook_options {
    const char *sink, *table; /* names told in the body */
    const char *url;
    const char *hmac_key;       /* NULL: not signed; "whsec_..." is base64 */
    const char *const *headers; /* "name: value" */
    size_t header_count;
    size_t batch;       /* 0: 1 */
    int64_t timeout_ms; /* 0: 10 s */
    struct weir_sink_tls tls;
};
weir_status weir_webhook_sink_new(struct weir_context *context,
                                  const struct weir_webhook_options *options,
                                  struct weir_sink *ret_sink,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* OpenSearch or Elasticsearch: _bulk with `_id` = key (longer than 512 bytes: its SHA-256),
 * version_type external_gte. INSERT and UPDATE index the row, DELETE deletes; a version conflict
 * and a delete of what is not there are taken. prepare makes the index if it is not there, dynamic
 * mapping off for what the row does not have. */
enum weir_opensearch_auth {
    WEIR_OPENSEARCH_NONE,
    WEIR_OPENSEARCH_BASIC,
    WEIR_OPENSEARCH_API_KEY,
    WEIR_OPENSEARCH_SIGV4
};
struct weir_opensearch_options {
    const char *url, *index;
    enum weir_opensearch_auth auth;
    const char *user, *password, *api_key; /* api_key: as given by the server, base64 */
    const char *region, *service;          /* SIGV4: service "es" or "aoss" */
    const char *role_arn, *role_external_id;
    size_t batch;       /* 0: 1000 */
    int64_t timeout_ms; /* 0: 30 s */
    struct weir_sink_tls tls;
};
weir_status weir_opensearch_sink_new(struct weir_context *context,
                                     const struct weir_opensearch_options *options,
                                     struct weir_sink *ret_sink,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_kafka_property;
/* A topic: key = the key's text (one column) or key_json, value = the row, or null for DELETE;
 * headers weir-id, weir-change, weir-version. Idempotent producer, acks=all; a change is taken when
 * its delivery report says so. Too large a message, an invalid one: REFUSED. prepare makes no
 * topic, but a broker that makes topics by itself may. */
struct weir_kafka_sink_options {
    const char *topic;
    bool key_is_json; /* several key columns */
    /* librdkafka's (connectors/kafka/kafka.h); bootstrap.servers must be among them */
    const struct weir_kafka_property *properties;
    size_t property_count;
    size_t batch;       /* 0: 10000 */
    int64_t timeout_ms; /* 0: 30 s */
};
weir_status weir_kafka_sink_new(struct weir_context *context,
                                const struct weir_kafka_sink_options *options,
                                struct weir_sink *ret_sink,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
