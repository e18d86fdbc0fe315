/* The catalog's seam, and a commit as data: a list of requirements and updates in the REST
 * catalog's own JSON form (Iceberg REST OpenAPI: TableRequirement, TableUpdate). REST sends it as
 * it is; the others apply it to metadata.json with weir_metadata_apply and swap a pointer.
 * protocol.md 1, 4, 5. */
#ifndef WEIR_FORMATS_ICEBERG_CATALOG_H
#define WEIR_FORMATS_ICEBERG_CATALOG_H

#include "formats/iceberg/metadata.h"

struct weir_commit {
    json_t *requirements; /* array of {"type": "assert-ref-snapshot-id", ...} */
    json_t *updates;      /* array of {"action": "add-snapshot", ...} */
};

/* A loaded table: metadata and the pointer's value it was loaded by. Owned by the caller:
 * weir_table_free. */
struct weir_table {
    char *name;              /* "bronze.inventory" */
    char *metadata_location; /* where the metadata document lies */
    char pointer_token[256]; /* the catalog's own: previous location, version and etag */
    struct weir_metadata *metadata;
};
void weir_table_free(struct weir_table *table); /* NULL-safe */

struct weir_catalog {
    const struct weir_catalog_operations *operations;
    void *self;
};

struct weir_catalog_operations {
    const char *kind; /* "sqlite", "object-store", "rest" */
    /* NOT_FOUND when there is no such table. REFUSED, CORRUPT as protocol.md 5 says (gap, tombstone
     * above, another uuid). */
    weir_status (*load)(void *self, const char *table, struct weir_table **ret_table,
                        struct weir_error *reterr);
    /* Creates the table in one request with everything `commit` says (assert-create + updates:
     * assign-uuid, schema, spec, snapshot...). PRECONDITION when somebody made it first;
     * UNKNOWN_OUTCOME. */
    weir_status (*create)(void *self, const char *table, const struct weir_commit *commit,
                          struct weir_table **ret_table, struct weir_error *reterr);
    /* Sends one request. OK: landed, the new state in *ret_table (base is not freed). PRECONDITION:
     * told no (409/412; may still have been sent twice). UNKNOWN_OUTCOME: may have landed. Never
     * retries by itself beyond what cannot double. */
    weir_status (*commit)(void *self, const struct weir_table *base,
                          const struct weir_commit *commit, struct weir_table **ret_table,
                          struct weir_error *reterr);
    /* Table names of a namespace ("" = all), sorted, NUL-terminated texts in the arena. */
    weir_status (*list)(void *self, const char *namespace_name, struct weir_arena *arena,
                        char ***ret_names, size_t *ret_count, struct weir_error *reterr);
    void (*free)(void *self);
    /* Where a table that is to be made has to lie, in place of where we would have it; changed only
     * if the catalog decides. NULL: it never does. */
    weir_status (*place)(void *self, const char *table, char location[1024],
                         struct weir_error *reterr);
};

/* Builders of the two lists. They take ownership of json_t arguments. */
weir_status weir_commit_init(struct weir_commit *commit, struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_commit_done(struct weir_commit *commit);
weir_status weir_commit_require_uuid(struct weir_commit *commit, const char *uuid,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_commit_require_ref(struct weir_commit *commit, const char *ref,
                                    int64_t snapshot_id /* -1 = absent */,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_commit_require_schema(struct weir_commit *commit, int32_t current_schema_id,
                                       int32_t last_assigned_field_id,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_commit_require(struct weir_commit *commit, json_t *requirement,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_commit_update(struct weir_commit *commit, json_t *update,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
