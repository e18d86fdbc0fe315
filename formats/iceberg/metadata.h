/* Iceberg table metadata, format version 2. Spec: Iceberg "Table Metadata and Snapshots",
 * "Manifests", "Appendix C, D".
 *
 * The JSON document is the truth: what foreign writers put in it stays when we write it again. */
#ifndef WEIR_FORMATS_ICEBERG_METADATA_H
#define WEIR_FORMATS_ICEBERG_METADATA_H

#include "engine/base/context.h"
#include "engine/vec/type.h"

#include <jansson.h>

struct weir_metadata; /* reference-free: owns its document; immutable once made */

weir_status weir_metadata_parse(struct weir_account *account, const void *text, size_t size,
                                struct weir_metadata **ret_metadata,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_metadata_write(const struct weir_metadata *metadata, struct weir_buffer *out,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_metadata_free(struct weir_metadata *metadata); /* NULL-safe */
const json_t *weir_metadata_document(const struct weir_metadata *metadata);

struct weir_commit;
/* A new document: base (NULL for create) with the updates applied after every requirement held.
 * PRECONDITION names the one that did not. previous_location goes into metadata-log (NULL: none).
 * now_ms for last-updated-ms, never below the base's. */
weir_status weir_metadata_apply(struct weir_account *account, const struct weir_metadata *base,
                                const char *previous_location, const struct weir_commit *commit,
                                int64_t now_ms, struct weir_metadata **ret_metadata,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* Views; texts live as long as the metadata. */
const char *weir_metadata_uuid(const struct weir_metadata *metadata);
const char *weir_metadata_location(const struct weir_metadata *metadata);
int64_t weir_metadata_last_sequence_number(const struct weir_metadata *metadata);
int64_t weir_metadata_last_updated_ms(const struct weir_metadata *metadata);
int32_t weir_metadata_last_column_id(const struct weir_metadata *metadata);
const char *weir_metadata_property(const struct weir_metadata *metadata,
                                   const char *key); /* NULL = absent */
const struct weir_schema *weir_metadata_schema(
    const struct weir_metadata *metadata); /* the current one */

struct weir_partition_field {
    int32_t source_id, field_id;
    const char *name;
    const char *transform; /* "day", "bucket[16]", ... */
};
struct weir_partition_spec {
    int32_t id;
    const struct weir_partition_field *fields;
    size_t field_count;
};
const struct weir_partition_spec *weir_metadata_spec(
    const struct weir_metadata *metadata); /* the default one */
const struct weir_partition_spec *weir_metadata_spec_by_id(const struct weir_metadata *metadata,
                                                           int32_t id);

struct weir_snapshot {
    int64_t id, parent_id; /* parent -1 = none */
    int64_t sequence_number, timestamp_ms;
    int32_t schema_id; /* -1 = absent */
    const char *manifest_list;
    const char *operation; /* "" when absent */
    const json_t *summary; /* object of strings */
};
bool weir_metadata_snapshot(const struct weir_metadata *metadata, int64_t id,
                            struct weir_snapshot *ret_snapshot);
bool weir_metadata_ref(const struct weir_metadata *metadata, const char *ref,
                       int64_t *ret_snapshot_id);
/* True if `ancestor` is `descendant` or reachable from it by parents that are still in the
 * metadata. */
bool weir_metadata_is_ancestor(const struct weir_metadata *metadata, int64_t ancestor,
                               int64_t descendant);

/* JSON of parts, for updates. New references. */
weir_status weir_schema_to_json(const struct weir_schema *schema, json_t **ret_json,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_schema_from_json(struct weir_arena *arena, const json_t *json,
                                  struct weir_schema *ret_schema,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_partition_spec_to_json(const struct weir_partition_spec *spec, json_t **ret_json,
                                        struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
