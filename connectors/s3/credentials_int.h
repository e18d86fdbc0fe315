/* Where keys come from, in the order that users of AWS tools expect, and their renewal.
 *
 *  1. a profile named in the options
 *  2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *  3. the profile files (AWS_PROFILE or "default"; AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE):
 *     keys, role_arn + source_profile or credential_source, role_arn + web_identity_token_file
 *  4. AWS_WEB_IDENTITY_TOKEN_FILE + AWS_ROLE_ARN (IRSA)
 *  5. the container endpoint, AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI (ECS, EKS Pod
 *     Identity)
 *  6. instance metadata, IMDSv2
 *
 * What that gives may then be used to assume the role of the options. The first that is set up is
 * the one used: if it fails, that is the error, not a reason to try the next.
 *
 * Keys that end are renewed at 80 % of their life by one thread while the others wait. A failed
 * renewal is an error only when the old keys are about to end. Secrets never appear in errors. */
#ifndef WEIR_CONNECTORS_S3_CREDENTIALS_INT_H
#define WEIR_CONNECTORS_S3_CREDENTIALS_INT_H

#include "connectors/http/http.h"
#include "connectors/s3/sigv4_int.h"

struct s3_chain_options {
    const char *profile, *role_arn, *external_id; /* NULL or "": none; copied */
    const char *region;                           /* for STS; copied */
};

struct s3_chain;

/* client must outlive the chain. Reads nothing yet. */
weir_status s3_chain_new(struct weir_context *context, struct weir_http_client *client,
                         const struct s3_chain_options *options, struct s3_chain **ret_chain,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
void s3_chain_free(struct s3_chain *chain); /* wipes the secrets; NULL-safe */

/* Keys that are good now. rejected: keys that a server called expired (NULL: none); they are not
 * given again. DENIED: none found; UNAVAILABLE: the service that gives them is away. */
weir_status s3_chain_get(struct s3_chain *chain, const struct s3_credentials *rejected,
                         struct s3_credentials *ret_credentials,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* The value of a key in the profile of the options (or AWS_PROFILE, "default"); false if there is
 * none. */
bool s3_profile_setting(struct weir_context *context, const char *profile, const char *key,
                        char *ret_value, size_t size);

/* ---- shared by credentials.c, profile.c and sts.c ---- */

/* Looks `key` up in [profile] of the credentials file, then of the config file. */
bool profile_value(struct weir_account *account, const char *profile, const char *key,
                   char *ret_value, size_t size);
bool profile_exists(struct weir_account *account, const char *profile);

/* Reads a small text file whole; the space around is cut. */
weir_status small_file_read(struct weir_account *account, const char *path, struct weir_buffer *out,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

struct sts_role {
    const char *role_arn, *external_id, *session_name; /* session_name NULL or "": "weir" */
    const char *token_file;                            /* web identity; NULL: signed by base */
    const char *region;
};

weir_status sts_assume(struct weir_context *context, struct weir_http_client *client,
                       const struct s3_credentials *base, const struct sts_role *role,
                       struct s3_credentials *ret_credentials,
                       struct weir_error *reterr) WEIR_MUST_CHECK;

/* "2026-11-23T10:15:00Z" to wall milliseconds; 0 if it is not a time. */
int64_t s3_time_ms(const char *text);

#endif
