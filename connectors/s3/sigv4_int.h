/* AWS Signature Version 4, our own: libcurl 7.88 signs keys with '=' and unsorted queries wrongly.
 * Documentation: "Create a signed AWS API request" in the AWS IAM user guide. */
#ifndef WEIR_CONNECTORS_S3_SIGV4_INT_H
#define WEIR_CONNECTORS_S3_SIGV4_INT_H

#include "engine/base/memory.h"

#include <pthread.h>

struct s3_credentials {
    char id[132]; /* access keys have at most 128 characters */
    char secret[256];
    char token[8192];   /* "" for long-lived keys */
    int64_t expires_ms; /* wall clock; 0: never */
};

struct sigv4_pair {
    const char *name; /* headers: lower case */
    const char *value;
};

/* The signing key of one day, region and service: computed once, then reused by all threads. */
struct sigv4_keys {
    pthread_mutex_t lock;
    char secret[256], scope[128];
    uint8_t key[32];
};

void sigv4_keys_init(struct sigv4_keys *keys);
void sigv4_keys_done(struct sigv4_keys *keys); /* wipes the key */

struct sigv4_request {
    const char *method;
    const char *path;  /* percent-encoded once, as it goes over the wire; never "" */
    const char *query; /* sigv4_query's, or "" */
    const struct sigv4_pair
        *headers; /* all to be signed, host among them; sorted by name in place of the caller */
    size_t header_count;
    const char *payload_hash; /* hexadecimal SHA-256 or "UNSIGNED-PAYLOAD" */
    const char *region, *service;
    const char *time; /* 20261123T101500Z */
};

/* Appends "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...". */
weir_status sigv4_sign(struct sigv4_keys *keys, const struct s3_credentials *credentials,
                       const struct sigv4_request *request, struct weir_buffer *out,
                       struct weir_error *reterr) WEIR_MUST_CHECK;

/* Appends the canonical query: encoded, sorted by name then value, '=' always there. At most 16
 * pairs. */
weir_status sigv4_query(struct weir_buffer *out, const struct sigv4_pair *pairs, size_t count,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* Lower-case hexadecimal SHA-256 and a NUL. */
weir_status sigv4_hash(const void *data, size_t size, char ret_hex[65],
                       struct weir_error *reterr) WEIR_MUST_CHECK;

/* "20261123T101500Z" of a wall clock. */
void sigv4_time(int64_t wall_ms, char ret_text[17]);

#endif
