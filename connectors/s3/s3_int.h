/* The store's inside: one call with its retries, shared by store.c, upload.c and place.c. */
#ifndef WEIR_CONNECTORS_S3_S3_INT_H
#define WEIR_CONNECTORS_S3_S3_INT_H

#include "connectors/s3/access.h"
#include "connectors/s3/credentials_int.h"
#include "connectors/s3/s3.h"
#include "engine/base/limits.h"

struct s3_store {
    struct weir_context *context;
    struct weir_account account; /* buffers of uploads and answers */
    struct weir_http_client *http;
    struct s3_chain *chain;
    struct weir_s3_access access; /* asked first, if its self is set */
    struct sigv4_keys keys;
    char bucket[64], prefix[1024]; /* prefix: "" or with '/' at its end */
    char region[64], owner[32], kms_key[2048];
    char base_url[620]; /* "https://host:port" and, in path style, "/bucket" */
    char base_path[80]; /* "" or "/bucket" */
    char host[520];     /* as signed */
    char root_uri[1100];
    bool secure;
    int64_t retry_ms;
    atomic_llong skew_ms; /* the server's clock minus ours, once it complained */
};

#define S3_QUERY_MAX   8
#define S3_HEADERS_MAX 8

struct s3_call {
    const char *method;
    const char *key;    /* whole key; NULL: the bucket itself */
    const char *listed; /* without a key: the prefix that is listed, below the store's; NULL */
    struct sigv4_pair query[S3_QUERY_MAX], headers[S3_HEADERS_MAX]; /* header names in lower case */
    size_t query_count, header_count;
    const void *body;
    size_t body_size;
    bool has_body;
    bool is_write;           /* an unknown outcome is told; otherwise it is a reason to retry */
    bool is_conditional;     /* connection of its own; 412 after an unknown attempt is unknown */
    bool is_once;            /* no retries: clean-up on the way out */
    struct weir_buffer *out; /* a 2xx answer's body is appended; NULL: not wanted */

    struct weir_http_response response; /* of the last attempt; s3_call_done frees it */
    bool maybe_done;                    /* some attempt may have taken place without saying so */
    char code[64], message[300];        /* of the server's error */
    enum weir_s3_grant grant;           /* what it is signed by */
    bool refused;                       /* what it was signed by is to be made anew */
};

/* Runs the call with retries. OK: a 2xx answer. NOT_FOUND 404; PRECONDITION 412, 304; DENIED 401,
 * 403; REFUSED the wrong region or certificate; CORRUPT 416 or a broken answer; UNSUPPORTED 501;
 * UNAVAILABLE, UNKNOWN_OUTCOME as s3.h says; FAILED any other refusal. */
weir_status s3_run(struct s3_store *store, struct s3_call *call,
                   struct weir_error *reterr) WEIR_MUST_CHECK;
void s3_call_done(struct s3_call *call);

void s3_query(struct s3_call *call, const char *name, const char *value);
void s3_header(struct s3_call *call, const char *name, const char *value);

/* What one answer means. */
enum s3_verdict {
    S3_DONE,
    S3_AGAIN,       /* certainly not done; the same again */
    S3_AGAIN_MAYBE, /* perhaps done; the same again */
    S3_RENEW,       /* the keys have ended */
    S3_SKEW,        /* our clock is off */
    S3_FINAL,       /* an answer that another try does not change */
};
enum s3_verdict s3_judge(long http_code, const char *code, bool has_error_body);
/* Status of a final answer. */
weir_status s3_final_status(long http_code, const char *code);
/* Fills call->code and message from an error document; false if it is none. */
bool s3_error_read(struct s3_call *call, const void *data, size_t size);

/* access.c: keys that are good for this call now, and call->grant. rejected: the store refused
 * those in *credentials. With SIGNATURES *credentials stays as it is. */
weir_status s3_authority_get(struct s3_store *store, struct s3_call *call, bool rejected,
                             struct s3_credentials *credentials,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* Has a request signed by who lets us at it: lines of its headers are added, and *ret_url is where
 * it goes. */
weir_status s3_signed_elsewhere(struct s3_store *store, const struct s3_call *call, const char *url,
                                struct weir_arena *arena, const char **lines, size_t *count,
                                size_t capacity, const char **ret_url,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* Base64 of the MD5, and its hexadecimal form. */
weir_status s3_md5(const void *data, size_t size, char ret_base64[25], char ret_hex[33],
                   struct weir_error *reterr) WEIR_MUST_CHECK;

/* Whole key of a relative name, checked. */
weir_status s3_key(const struct s3_store *store, const char *name, char ret_key[1100],
                   struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status s3_head_key(struct s3_store *store, const char *key, struct weir_object_info *ret_info,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* upload.c */
weir_status s3_upload_begin(void *self, const char *name, struct weir_upload **ret_upload,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status s3_upload_write(struct weir_upload *upload, const void *data, size_t size,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status s3_upload_finish(struct weir_upload *upload, struct weir_object_info *ret_info,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
void s3_upload_abandon(struct weir_upload *upload);

/* One conditional or plain put of a whole key; ret_etag may be NULL. */
weir_status s3_put_key(struct s3_store *store, const char *key, const void *data, size_t size,
                       enum weir_put_mode mode, const char *etag, char ret_etag[WEIR_ETAG_SIZE],
                       bool *ret_maybe_done, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
