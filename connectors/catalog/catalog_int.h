/* Shared by the catalogs: names, and metadata documents in a store. */
#ifndef WEIR_CONNECTORS_CATALOG_CATALOG_INT_H
#define WEIR_CONNECTORS_CATALOG_CATALOG_INT_H

#include "connectors/catalog/catalog.h"

struct catalog_name {
    char space[WEIR_ETAG_SIZE * 2]; /* "bronze" */
    char table[WEIR_ETAG_SIZE * 2]; /* "inventory" */
    char folder[600];               /* "bronze/inventory": relative name of the table's folder */
};

/* USAGE when it is no "layer.table" of names that are safe as folders. */
weir_status catalog_name_split(const char *name, struct catalog_name *ret_name,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

/* {root}/x, file:{root}/x, file://{root}/x -> "x"; UNSUPPORTED when it lies elsewhere. */
weir_status catalog_relative(const struct weir_object_store *store, const char *location,
                             const char **ret_name, struct weir_error *reterr) WEIR_MUST_CHECK;

/* Reads and parses a document; names ending in .gz.metadata.json or .json.gz are gunzipped. */
weir_status catalog_read(struct weir_context *context, const struct weir_object_store *store,
                         const char *name, struct weir_metadata **ret_metadata,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* Takes the metadata (on failure too). */
weir_status catalog_table_new(struct weir_context *context, const char *name, const char *location,
                              const char *token, struct weir_metadata *metadata,
                              struct weir_table **ret_table,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* The commit that creates a table, appended to `whole`: assert-create, a uuid and {root}/{folder}
 * as its location in front, unless it gives them itself. */
weir_status catalog_create_fill(struct weir_context *context, const struct weir_object_store *store,
                                const struct catalog_name *name, const struct weir_commit *commit,
                                struct weir_commit *whole,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* The document that such a commit makes. */
weir_status catalog_create_metadata(struct weir_context *context,
                                    const struct weir_object_store *store,
                                    const struct catalog_name *name,
                                    const struct weir_commit *commit,
                                    struct weir_metadata **ret_metadata,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
