/* The catalogs that need no server: a SQLite file with the JDBC catalog's tables, and plain objects
 * in a store. Both fill the seam of formats/iceberg/catalog.h; protocol.md 5, "Pointers".
 *
 * Table names are "layer.table" (a namespace of several levels has more dots). A table made here
 * lies at {store root}/{layer}/{table}; its metadata below metadata/ there. The store must outlive
 * the catalog and stays the caller's. Catalogs may be used from several threads at once.
 *
 * Verdicts of commit and create, both catalogs:
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

/* What a superseded version may be replaced with (put-if-match) when its space is wanted: the name
 * stays taken. */
#define WEIR_CATALOG_TOMBSTONE "weir tombstone\n"

#endif
