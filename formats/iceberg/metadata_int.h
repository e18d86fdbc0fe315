/* Inside of a metadata document, for metadata.c and apply.c. */
#ifndef WEIR_FORMATS_ICEBERG_METADATA_INT_H
#define WEIR_FORMATS_ICEBERG_METADATA_INT_H

#include "formats/iceberg/metadata.h"

struct weir_metadata {
    struct weir_account *account;
    size_t charged;          /* bytes charged for the document, which jansson allocates */
    json_t *document;        /* owned; never changed once the metadata is out */
    struct weir_arena arena; /* everything below */
    int32_t format_version;
    int64_t last_sequence_number, last_updated_ms;
    int32_t last_column_id;
    const char *uuid, *location;
    struct weir_schema schema;
    struct weir_partition_spec *specs;
    size_t spec_count, default_spec;
    struct weir_snapshot *snapshots; /* by id */
    size_t snapshot_count;
};

/* Takes the document (on failure too) and checks everything the views rest on. `size` is what is
 * charged for it. */
weir_status metadata_from_document(struct weir_account *account, json_t *document, size_t size,
                                   struct weir_metadata **ret_metadata,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;

/* Required members: CORRUPT with the name when missing, of another type or out of range. */
weir_status metadata_int64(const json_t *object, const char *key, int64_t *ret_value,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status metadata_int32(const json_t *object, const char *key, int32_t *ret_value,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status metadata_text(const json_t *object, const char *key, const char **ret_text,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* The member of an array of objects whose integer `key` is `value`; NULL if none. */
json_t *metadata_member(const json_t *array, const char *key, int64_t value);

#endif
