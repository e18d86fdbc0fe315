/* Kafka as a log source (engine/base/io.h) over librdkafka 2.0.2, and a small broker for trials.
 *
 * What the protocol rests on is set here and cannot be set by the user: no consumer group
 * membership, no automatic offsets, auto.offset.reset=error, the isolation level, CRC checks.
 * Topics are read by plain fetches. */
#ifndef WEIR_CONNECTORS_KAFKA_KAFKA_H
#define WEIR_CONNECTORS_KAFKA_KAFKA_H

#include "engine/base/io.h"

struct weir_kafka_property {
    const char *key, *value;
};

struct weir_kafka_options {
    const char *const
        *topics; /* names, or exactly one "/regex/" (POSIX extended, must match the whole name) */
    size_t topic_count;
    const struct weir_kafka_property
        *properties; /* librdkafka's; bootstrap.servers must be among them */
    size_t property_count;
    const char *group; /* group to mirror into when mirror() is given NULL; may be NULL */
    bool headers;      /* false: records carry no headers */
    int64_t
        timeout_ms; /* how long an unreachable broker is waited for; 0 = WEIR_KAFKA_TIMEOUT_MS */
};

#define WEIR_KAFKA_TIMEOUT_MS 15000

/* Why a property may not be set by the user, or NULL if it may. The text is static. */
const char *weir_kafka_property_refused(const char *name);

/* True for properties whose values are never shown (passwords, keys, tokens). */
bool weir_kafka_property_secret(const char *name);

/* Checks topics and properties without any connection. USAGE with the property's name, and a hint.
 */
weir_status weir_kafka_check(const struct weir_kafka_options *options,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* Opens the source; copies what it needs of the options. Connects at first use, not here. The
 * context must outlive the source. Free by ret_source->operations->free(ret_source->self), after
 * all readers are ended. USAGE: options are wrong. Calls of the source fail with UNAVAILABLE (the
 * broker's words are in the text), DENIED, NOT_FOUND, DECISION, and STOPPED / INTERRUPTED / TIMEOUT
 * by weir_context_check. */
weir_status weir_kafka_source_new(struct weir_context *context,
                                  const struct weir_kafka_options *options,
                                  struct weir_log_source *ret_source,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* Login by tokens is asked for by properties of Weir's own, which the user's file cannot set:
 * weir.oauth.token_url, client_id, client_secret or secret_file (read for each token), scope,
 * audience, ca_file; or for AWS IAM weir.iam.region, role_arn, external_id. They set
 * sasl.mechanisms, and security.protocol to SASL_SSL if it is not there. After rd_kafka_new,
 * whatever the login; before anything is asked of the client. */
struct rd_kafka_s;
void weir_kafka_login_start(struct rd_kafka_s *client);

/* A producer's configuration for a sink: the user's properties, and idempotence with acks=all,
 * which cannot be set. The caller's: give it to rd_kafka_new or destroy it. USAGE names the
 * property. */
struct rd_kafka_conf_s;
weir_status weir_kafka_producer_conf(const struct weir_kafka_property *properties, size_t count,
                                     int64_t timeout_ms, struct rd_kafka_conf_s **ret_conf,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_kafka_producer_check(const struct weir_kafka_property *properties, size_t count,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_kafka_dev_broker_options {
    int broker_count; /* 0 = 1 */
    /* Called once, when the brokers listen on 127.0.0.1, with "host:port[,host:port]". */
    void (*started)(void *argument, const char *bootstrap_servers);
    void *argument;
};

/* What the broker of weir_kafka_dev_broker_run cannot do, one sentence for the user. */
extern const char weir_kafka_dev_broker_limit[];

/* Runs librdkafka's mock cluster until the context is asked to stop, or its deadline; OK then.
 * Topics make themselves at first use with 4 partitions. Each partition keeps 5 MiB or 100,000
 * records; older ones are dropped. */
weir_status weir_kafka_dev_broker_run(struct weir_context *context,
                                      const struct weir_kafka_dev_broker_options *options,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
