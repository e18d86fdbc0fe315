/* Records into one topic, exactly once: each batch is a Kafka transaction that also holds how far
 * the sender has come, as an offset of a consumer group of the sender's own. After a crash, or an
 * answer that was lost, the position is asked for: it says whether the batch is there.
 *
 * The sender's identity is its transactional.id: a new process with the same one fences the old. */
#ifndef WEIR_CONNECTORS_KAFKA_PRODUCER_H
#define WEIR_CONNECTORS_KAFKA_PRODUCER_H

#include "connectors/kafka/kafka.h"

struct weir_kafka_sender;

struct weir_kafka_sender_options {
    const char *topic, *identity; /* copied */
    const struct weir_kafka_property *properties;
    size_t property_count;
};

struct weir_kafka_message {
    struct weir_bytes key, value; /* data NULL: none */
    struct weir_bytes headers;    /* "name\0value\0" pairs */
    int64_t number;               /* of the sender; header weir-id is "identity/number" */
};

weir_status weir_kafka_sender_new(struct weir_context *context,
                                  const struct weir_kafka_sender_options *options,
                                  struct weir_kafka_sender **ret_sender,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Connects, settles what an earlier process left open, and tells how far Kafka has come; -1 =
 * Kafka knows of none. Waits for a few seconds at most: UNAVAILABLE, try again. DENIED, REFUSED
 * (no such topic): trying again helps when somebody has mended it. */
weir_status weir_kafka_sender_position(struct weir_kafka_sender *sender, int64_t *ret_position,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* All of them and the position, or nothing. After any failure nothing is known: ask for the
 * position again. USAGE with count 1: the brokers will never take this record. With more, one of
 * them may be so: send them one by one. The bytes stay the caller's. */
weir_status weir_kafka_sender_send(struct weir_kafka_sender *sender,
                                   const struct weir_kafka_message *messages, size_t count,
                                   int64_t position, struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_kafka_sender_free(struct weir_kafka_sender *sender); /* NULL-safe */

#endif
