/* The catalogs: a SQLite file with the JDBC catalog's tables, plain objects in a store, and a
 * server that speaks the Iceberg REST protocol. All fill the seam of formats/iceberg/catalog.h;
 * protocol.md 5, "Pointers".
 *
 * Table names are "layer.table" (a namespace of several levels has more dots). A table made here
 * lies at {store root}/{layer}/{table}; its metadata below metadata/ there. The store must outlive
 * the catalog and stays the caller's. Catalogs may be used from several threads at once.
 *
 * Verdicts of commit and create, all catalogs:
 *   OK               landed; the new state is in *ret_table
 *   PRECONDITION     a requirement did not hold, or another writer moved the pointer first. Told by
 * a store whose client may have sent the request twice: load and look for the snapshot among the
 * head's ancestors (protocol.md 4) UNKNOWN_OUTCOME  the pointer may have moved anything else    the
 * pointer certainly did not move; objects written on the way are litter for the sweeper */
#ifndef WEIR_CONNECTORS_CATALOG_CATALOG_H
#define WEIR_CONNECTORS_CATALOG_CATALOG_H

#include "engine/base/io.h"
#include "formats/iceberg/catalog.h"

/* `path` is the SQLite file, made when it is missing; refused (REFUSED) on network file systems,
 * whose locks do not hold. Tables are those of Java's JdbcCatalog (schema V1) and of pyiceberg's
 * SqlCatalog. */
weir_status weir_catalog_sqlite_new(struct weir_context *context,
                                    const struct weir_object_store *store, const char *path,
                                    const char *catalog_name, struct weir_catalog *ret_catalog,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

/* The store alone: v{N}.metadata.json, made once each; version-hint.text says where to begin
 * looking. Only Weir may write.
 *
 * What load answers:
 *   nothing there                                    NOT_FOUND
 *   v{hint} missing, or v{N} missing below v{N+1}    CORRUPT "gap"
 *   a tombstone where the current version should be,
 *   or above a version that lives                    CORRUPT "tombstone"
 *   another uuid than this process, or the version
 *   before, had                                      CORRUPT "uuid"
 *   metadata-log does not end with v{N-1}            CORRUPT "metadata-log"
 *   hint missing, damaged or behind                  OK, and the hint is mended (put-if-match,
 * never backwards) create: PRECONDITION when v1 is there (a table, or one that was), REFUSED when
 * the metadata/ folder holds a metadata document or a hint that is none of ours. Manifests of
 * earlier attempts are litter and no hindrance. */
weir_status weir_catalog_object_store_new(struct weir_context *context,
                                          const struct weir_object_store *store,
                                          struct weir_catalog *ret_catalog,
                                          struct weir_error *reterr) WEIR_MUST_CHECK;

enum weir_catalog_rest_auth {
    WEIR_REST_AUTH_NONE,
    WEIR_REST_AUTH_BEARER, /* token */
    WEIR_REST_AUTH_OAUTH2, /* client_id, client_secret */
    WEIR_REST_AUTH_SIGV4,  /* sign_region, sign_service */
};

/* Who lets us at the objects of a table. */
enum weir_catalog_rest_access {
    WEIR_REST_ACCESS_OWN,     /* keys of the store's own */
    WEIR_REST_ACCESS_VENDED,  /* keys that the catalog gives for the table */
    WEIR_REST_ACCESS_SIGNING, /* the catalog signs each request */
};

struct weir_catalog_rest_options {
    const char *uri;       /* "https://host[:port][/path]", without /v1 */
    const char *warehouse; /* the server's name for it; NULL: not asked for */
    const char *prefix;    /* of paths, encoded; NULL: as the server says */
    enum weir_catalog_rest_auth auth;
    const char *token;
    const char *token_file; /* where it came from: read again when the server refuses it; NULL */
    const char *token_url;  /* NULL: {uri}/v1/oauth/tokens */
    const char *client_id, *client_secret;
    const char *client_secret_file; /* as token_file */
    const char *scope;              /* NULL: "catalog" */
    const char *audience;           /* NULL: none */
    const char *sign_region, *sign_service, *sign_role_arn, *sign_external_id;
    enum weir_catalog_rest_access access; /* not OWN: the store asks the catalog from now on */
    const char *const *headers;           /* "name: value" lines, sent with each request */
    size_t header_count;
    int64_t timeout_ms; /* of a request; 0: 60 s */
    int64_t retry_ms;   /* how long what only reads is tried; 0: 30 s */
    const char *tls_ca_file, *tls_cert_file, *tls_key_file;
};

/* An Iceberg REST catalog (apache/iceberg open-api/rest-catalog-open-api.yaml). Copies the options,
 * asks nobody yet: the first call fetches the server's configuration (prefix, overrides). A table
 * must lie in `store`: the server names its location, ours is {store root}/{layer}/{table}.
 *
 * load is tried again while the server is away (5xx, 429, no connection) until retry_ms is over;
 * create and commit are sent once: 409 and 412 are PRECONDITION, no answer and every 5xx
 * UNKNOWN_OUTCOME, 429 and no connection UNAVAILABLE. A server that says in its configuration that
 * it knows Idempotency-Key gets the same one with the same commit. NOT_FOUND only by the protocol's
 * own error: a 404 of somebody in between is FAILED, never a reason to make a table.
 *
 * With access VENDED or SIGNING (USAGE: the store is none of S3) the store is let at a table's
 * objects by the catalog; at those outside of tables, and at listings with SIGNING, by its own
 * keys. Such a catalog has to be freed before its store. */
weir_status weir_catalog_rest_new(struct weir_context *context,
                                  const struct weir_object_store *store,
                                  const struct weir_catalog_rest_options *options,
                                  struct weir_catalog *ret_catalog,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* Where a REST catalog is reached: the uri of its options, unless its configuration, which is asked
 * for once, leads to another one. Lives as long as the catalog. */
weir_status weir_catalog_rest_address(const struct weir_catalog *catalog, const char **ret_uri,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;

/* Lets a REST catalog know the table whose metadata document lies at `metadata_location`, its
 * namespace made if need be. EXISTS: it knows a table of that name, or does not take `overwrite`,
 * by which such a one is moved on; UNSUPPORTED: no REST catalog; UNKNOWN_OUTCOME as for commits. */
weir_status weir_catalog_rest_register(const struct weir_catalog *catalog, const char *table,
                                       const char *metadata_location, bool overwrite,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;

/* What a superseded version may be replaced with (put-if-match) when its space is wanted: the name
 * stays taken. */
#define WEIR_CATALOG_TOMBSTONE "weir tombstone\n"

#endif
