/* Signing requests to other services of AWS (OpenSearch: "es", "aoss") by the keys and the signer
 * that S3 has: AWS Signature Version 4, keys from the chain that credentials_int.h describes, or a
 * role assumed with them. */
#ifndef WEIR_CONNECTORS_S3_SIGV4_H
#define WEIR_CONNECTORS_S3_SIGV4_H

#include "engine/base/context.h"

struct weir_sigv4_signer;

struct weir_sigv4_options {
    const char *region;  /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1 */
    const char *service; /* required, not "s3": that encodes paths in another way */
    const char *profile, *role_arn, *external_id; /* NULL or "": none */
};

/* The options are copied; asks nobody yet. One thread at a time. */
weir_status weir_sigv4_signer_new(struct weir_context *context,
                                  const struct weir_sigv4_options *options,
                                  struct weir_sigv4_signer **ret_signer,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_sigv4_signer_free(struct weir_sigv4_signer *signer); /* wipes the keys; NULL-safe */

struct weir_sigv4_message {
    const char *method;
    const char *host;  /* "name" or "name:port", as in the URL */
    const char *path;  /* percent-encoded as it goes over the wire, with '/' in front */
    const char *query; /* as it goes over the wire: sorted by name, encoded, '=' always there;
                          NULL or "": none */
    const char *content_type; /* NULL: none; otherwise a line of its own is returned */
    const void *body;
    size_t body_size;
};

#define WEIR_SIGV4_LINES 5

/* The header lines to send: content-type, x-amz-content-sha256, x-amz-date, x-amz-security-token,
 * authorization; in the arena. DENIED: no keys are to be found;
 * UNAVAILABLE: the service that gives them is away. */
weir_status weir_sigv4_sign(struct weir_sigv4_signer *signer,
                            const struct weir_sigv4_message *message, struct weir_arena *arena,
                            const char *ret_lines[WEIR_SIGV4_LINES], size_t *ret_count,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* A query that signs a GET of path "/" at `host` by itself, for `seconds` from now: `name`=`value`
 * and what AWS wants besides, in the arena. */
weir_status weir_sigv4_presign(struct weir_sigv4_signer *signer, const char *host, const char *name,
                               const char *value, unsigned seconds, struct weir_arena *arena,
                               const char **ret_query, struct weir_error *reterr) WEIR_MUST_CHECK;

const char *weir_sigv4_region(const struct weir_sigv4_signer *signer);

/* The server said that the keys of the last signature have ended: they are not used again. */
void weir_sigv4_rejected(struct weir_sigv4_signer *signer);

#endif
