/* A schema registry that speaks Confluent's protocol: Confluent's own, Apicurio (/apis/ccompat/v7),
 * Redpanda, Karapace. Read only.
 *
 * Schemas are asked for with all that they refer to. What a registry has once given for an id never
 * changes; keeping it is the caller's. */
#ifndef WEIR_CONNECTORS_REGISTRY_REGISTRY_H
#define WEIR_CONNECTORS_REGISTRY_REGISTRY_H

#include "engine/base/context.h"

#include <jansson.h>

struct weir_registry_options {
    const char *url;             /* what stands before /schemas and /subjects */
    const char *user, *password; /* basic; NULL: none */
    const char *bearer;          /* a token; NULL: none */
    const char *tls_ca_file, *tls_cert_file, *tls_key_file; /* NULL: the system's, none, none */
    int64_t timeout_ms;                                     /* of a request; 0: 10 s */
};

struct weir_registry;

/* The options' texts are copied. No request is made. */
weir_status weir_registry_new(struct weir_context *context,
                              const struct weir_registry_options *options,
                              struct weir_registry **ret_registry,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_registry_free(struct weir_registry *registry); /* NULL-safe */

/* {"type": "AVRO" | "JSON" | ..., "texts": [...]}: the schema's text behind those that it refers
 * to, each behind its own. New reference. Any thread.
 *
 *   NOT_FOUND    the registry answers that there is none, also when asked again
 *   UNAVAILABLE  nobody answers, or the registry is in trouble, also when asked again
 *   DENIED       401, 403
 *   CORRUPT      an answer that is none
 *   UNSUPPORTED  more than WEIR_SCHEMA_REFERENCES_MAX schemas behind it, or they are too large */
weir_status weir_registry_by_id(struct weir_registry *registry, uint32_t id, json_t **ret_schema,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same of a subject; version 0: the latest. {"id", "version", "type", "texts"}. */
weir_status weir_registry_by_subject(struct weir_registry *registry, const char *subject,
                                     int version, json_t **ret_schema,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
