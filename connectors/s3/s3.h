/* S3 and what speaks like it, as an object store (the seam of engine/base/io.h).
 *
 * Names are keys below {bucket}/{prefix}. Own SigV4; conditional writes by If-None-Match: * and
 * If-Match, on CompleteMultipartUpload too. Requests are tried again with full jitter on 5xx,
 * SlowDown, timeouts, broken connections, 409 ConditionalRequestConflict, until retry_ms is over.
 *
 * What a write reports (protocol.md 4, "Verdicts"):
 *
 *   PRECONDITION     the store said 412 to the only request that can have reached it
 *   UNKNOWN_OUTCOME  an attempt may have taken place: its answer was lost, or a later attempt was
 *                    refused. `put` never settles this itself. Conditional puts use a connection of
 *                    their own, so that libcurl cannot send them twice unasked.
 *   UNAVAILABLE      certainly not done
 *
 * upload_finish settles by HEAD and the etag its content must have: an upload's name is its own.
 *
 * Integrity: Content-MD5 on every body (the one checksum that all of these servers check), and
 * signed payloads over plain http. The etag is opaque: what the server gave, quotes and all. */
#ifndef WEIR_CONNECTORS_S3_S3_H
#define WEIR_CONNECTORS_S3_S3_H

#include "engine/base/io.h"

enum weir_s3_addressing {
    WEIR_S3_ADDRESSING_AUTO, /* path style for an endpoint of one's own and for buckets with dots */
    WEIR_S3_ADDRESSING_PATH, /* https://host/bucket/key */
    WEIR_S3_ADDRESSING_VIRTUAL, /* https://bucket.host/key */
};

struct weir_s3_options {
    const char *bucket;   /* required */
    const char *prefix;   /* NULL or "": the whole bucket; '/' at its ends does not matter */
    const char *region;   /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1 */
    const char *endpoint; /* "https://host[:port]"; NULL: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the
                             region's */
    enum weir_s3_addressing path_style;
    const char
        *account; /* expected owner, sent as x-amz-expected-bucket-owner; NULL: not checked */
    const char *kms_key; /* SSE-KMS key id; NULL: the bucket's default */
    const char *tls_ca_file, *tls_cert_file, *tls_key_file;
    const char *profile, *role_arn,
        *external_id; /* see credentials_int.h for the order of sources */
    int64_t retry_ms; /* how long one call tries; 0: 60 s */
};

/* Copies the options; sends nothing yet. root_uri is "s3://bucket/prefix". USAGE on wrong options.
 */
weir_status weir_store_s3_new(struct weir_context *context, const struct weir_s3_options *options,
                              struct weir_object_store *ret_store,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* Whether the bucket is where policy wants it, before the first write: exists, lies in `region`
 * (NULL: the configured one), belongs to `account` (NULL: the configured one, if any). REFUSED with
 * both names if not. What the store says of the region counts, by x-amz-bucket-region, else by
 * GetBucketLocation; *ret_region (may be NULL) is "" where a server that is not AWS's says none. */
weir_status weir_s3_check_place(const struct weir_object_store *store, const char *region,
                                const char *account, char ret_region[64],
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* Does the store refuse a request whose x-amz-expected-bucket-owner is nobody? Only AWS promises
 * it. Not while the store is in use. */
bool weir_s3_heeds_owner(const struct weir_object_store *store);

/* Splits "s3://bucket/prefix" (s3a, s3n too) into texts of the arena. False if it is no such URI.
 */
bool weir_s3_uri_split(const char *uri, char ret_bucket[64], char ret_prefix[1024]);

#endif
