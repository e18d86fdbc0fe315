/* Iceberg table metadata: versions 1 to 3 are read, version 2 is written. Spec: Iceberg "Table
 * Metadata and Snapshots", "Manifests", "Appendix C, D".
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
/* The same of a document that somebody else has parsed from `size` bytes. Takes the reference, on
 * failure too. */
weir_status weir_metadata_adopt(struct weir_account *account, json_t *document, size_t size,
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
/* The current one. Of a v3 table, columns of types that Weir has no place for are left out (see
 * weir_schema_read). */
const struct weir_schema *weir_metadata_schema(const struct weir_metadata *metadata);
int32_t weir_metadata_format_version(const struct weir_metadata *metadata);
/* JSON of the schema with that id (-1: the current one), or NULL. */
const json_t *weir_metadata_schema_json(const struct weir_metadata *metadata, int32_t id);

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
    const json_t *manifests; /* v1 without a manifest list: their locations; else NULL */
    const char *operation;   /* "" when absent */
    const json_t *summary;   /* object of strings */
};
bool weir_metadata_snapshot(const struct weir_metadata *metadata, int64_t id,
                            struct weir_snapshot *ret_snapshot);
/* All of them, by id. */
const struct weir_snapshot *weir_metadata_snapshots(const struct weir_metadata *metadata,
                                                    size_t *ret_count);
const struct weir_partition_spec *weir_metadata_specs(const struct weir_metadata *metadata,
                                                      size_t *ret_count);
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
/* A column, or a nested field, of a type that is not Weir's (timestamp_ns, variant, geometry, ...):
 * its dotted path and its type as written. */
struct weir_schema_refusal {
    const char *path, *type;
    int32_t id;
};
/* As weir_schema_from_json for v3 tables: fields of such types, and what is empty without them, are
 * left out of the schema and told of in *ret_refusals. Type unknown becomes string: its values are
 * all null. */
weir_status weir_schema_read(struct weir_arena *arena, const json_t *json,
                             struct weir_schema *ret_schema,
                             struct weir_schema_refusal **ret_refusals, size_t *ret_count,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* The JSON object of the struct field with that id, or NULL: where initial-default is. */
const json_t *weir_schema_field_json(const json_t *schema, int32_t id);
weir_status weir_partition_spec_to_json(const struct weir_partition_spec *spec, json_t **ret_json,
                                        struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
