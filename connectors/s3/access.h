/* Objects that somebody else lets us at: keys, or signatures, that a catalog gives for some of a
 * store's objects, instead of keys of our own. connectors/catalog fills it; the store asks it
 * before each call, from many threads at once. */
#ifndef WEIR_CONNECTORS_S3_ACCESS_H
#define WEIR_CONNECTORS_S3_ACCESS_H

#include "engine/base/io.h"

struct weir_s3_keys {
    char id[132]; /* access keys have at most 128 characters */
    char secret[256];
    char token[8192];   /* "" for long-lived keys */
    int64_t expires_ms; /* wall clock; 0: unknown, or never */
};

enum weir_s3_grant {
    WEIR_S3_GRANT_NONE, /* keys of our own */
    WEIR_S3_GRANT_KEYS,
    WEIR_S3_GRANT_SIGNATURES,
};

struct weir_s3_signing {
    const char *method, *region;
    const char *url;            /* whole, encoded, as it goes over the wire */
    const char *const *headers; /* "name: value" lines in lower case, without host */
    size_t header_count;
    bool refused; /* the store refused what was signed just now: nothing kept is to be used */
};

struct weir_s3_access {
    void *self;
    /* Who lets us at an object. `name` is relative to the store's root; for listings it is the
     * prefix that is listed, "" for the bucket. `rejected`: keys that the store refused (NULL:
     * none); they are not given again. Fills *ret_keys only with KEYS. */
    weir_status (*find)(void *self, const char *name, bool is_listing,
                        const struct weir_s3_keys *rejected, enum weir_s3_grant *ret_grant,
                        struct weir_s3_keys *ret_keys, struct weir_error *reterr);
    /* Lines to send beside the request's own, and the URL to send it to, in the arena. */
    weir_status (*sign)(void *self, const char *name, const struct weir_s3_signing *signing,
                        struct weir_arena *arena, const char **ret_url, const char ***ret_lines,
                        size_t *ret_count, struct weir_error *reterr);
};

/* From now on the store asks `access` first; NULL: it no longer does. Copied; `self` must live
 * until then. Not while the store is in use. UNSUPPORTED: the store is none of S3. */
weir_status weir_store_s3_delegate(const struct weir_object_store *store,
                                   const struct weir_s3_access *access,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
