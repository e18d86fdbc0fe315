/* Data files, manifests and manifest lists (Avro, v2), and partition transforms. Spec: Iceberg
 * "Manifests", "Manifest Lists", "Partition Transforms". */
#ifndef WEIR_FORMATS_ICEBERG_MANIFEST_H
#define WEIR_FORMATS_ICEBERG_MANIFEST_H

#include "engine/vec/vector.h"
#include "formats/iceberg/metadata.h"

/* Counts and bounds by field id; arrays of equal length entries, absent = 0 entries. */
struct weir_id_count {
    int32_t id;
    int64_t count;
};
struct weir_id_bound {
    int32_t id;
    struct weir_bytes bound;
};

struct weir_data_file {
    int content;        /* 0 data, 1 position deletes, 2 equality deletes */
    const char *path;   /* full location */
    const char *format; /* "PARQUET" */
    int32_t spec_id;
    /* One value per partition field, single-value binary of the transform's result type; data NULL
     * = null. */
    const struct weir_bytes *partition;
    size_t partition_count; /* set by readers: a hostile manifest may hold fewer than its spec */
    int64_t record_count, file_size;
    const struct weir_id_count *column_sizes, *value_counts, *null_counts, *nan_counts;
    size_t column_size_count, value_count_count, null_count_count, nan_count_count;
    const struct weir_id_bound *lower, *upper;
    size_t lower_count, upper_count;
    const int64_t *split_offsets;
    size_t split_count;
    int32_t sort_order_id; /* -1 = absent */
    /* What foreign delete files and encrypted files carry; kept when their manifests are rewritten.
     * Zero = absent. */
    const int32_t *equality_ids;
    size_t equality_id_count;
    struct weir_bytes key_metadata;
    const char *referenced_data_file;
    /* Where a deletion vector lies in its Puffin file (v3); only read. size 0 = absent. */
    int64_t content_offset, content_size;
};

enum weir_entry_status { WEIR_ENTRY_EXISTING, WEIR_ENTRY_ADDED, WEIR_ENTRY_DELETED };
struct weir_manifest_entry {
    enum weir_entry_status status;
    int64_t snapshot_id;          /* -1 = inherit (null) */
    int64_t sequence_number;      /* -1 = inherit */
    int64_t file_sequence_number; /* -1 = inherit */
    struct weir_data_file file;
};

struct weir_manifest { /* a row of a manifest list */
    const char *path;
    int64_t length;
    int32_t spec_id;
    int content; /* 0 data, 1 deletes */
    int64_t sequence_number, min_sequence_number;
    int64_t added_snapshot_id;
    int32_t added_files, existing_files, deleted_files;
    int64_t added_rows, existing_rows, deleted_rows;
    /* per partition field of its spec */
    const struct weir_field_summary {
        bool contains_null;
        int contains_nan; /* -1 unknown */
        struct weir_bytes lower, upper;
    } * partitions;
    size_t partition_count;
};

/* Serialises entries to `out`; fills everything of *ret_manifest but path, and the sequence numbers
 * when they are inherited (then sequence_number = min_sequence_number = `sequence_number`, the
 * number the commit will carry). Texts in arena. */
weir_status weir_manifest_write(struct weir_arena *arena, const struct weir_schema *schema,
                                const struct weir_partition_spec *spec, int content,
                                int64_t snapshot_id, int64_t sequence_number,
                                const struct weir_manifest_entry *entries, size_t count,
                                struct weir_buffer *out, struct weir_manifest *ret_manifest,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* Reads any writer's v1/v2/v3 manifest; inherited numbers are filled from `manifest`. Entries and
 * texts in the arena. */
weir_status weir_manifest_read(struct weir_arena *arena, const void *data, size_t size,
                               const struct weir_manifest *manifest,
                               struct weir_manifest_entry **ret_entries, size_t *ret_count,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* The partition spec's id that a manifest's header says; 0 when it says none. For v1 snapshots that
 * list their manifests without a manifest list. */
weir_status weir_manifest_header_spec(const void *data, size_t size, struct weir_arena *arena,
                                      int32_t *ret_spec_id,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_manifest_list_write(int64_t snapshot_id, int64_t parent_id /* -1 */,
                                     int64_t sequence_number, const struct weir_manifest *manifests,
                                     size_t count, struct weir_buffer *out,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_manifest_list_read(struct weir_arena *arena, const void *data, size_t size,
                                    struct weir_manifest **ret_manifests, size_t *ret_count,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

/* Partition transforms: identity, bucket[N], truncate[W], year, month, day, hour, void. */
struct weir_transform;
/* USAGE when the transform does not take that type. */
weir_status weir_transform_result_type(const char *transform, const struct weir_type *source,
                                       struct weir_type *ret_type,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* The transform over a vector: a flat vector of the result type (int/date-as-int/...: see header of
 * transform.c) in the arena. */
weir_status weir_transform_apply(struct weir_arena *arena, const char *transform,
                                 const struct weir_vector *source, struct weir_vector *ret_vector,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
/* Value -> the text of partition paths ("2026-11-23", "null"), and single-value binary (Appendix
 * D). */
weir_status weir_transform_path_text(struct weir_arena *arena, const char *transform,
                                     const struct weir_vector *values, uint32_t row,
                                     char **ret_text, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_value_binary(struct weir_arena *arena, const struct weir_vector *values,
                              uint32_t row, struct weir_bytes *ret_bytes,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* The pipeline file's spelling `days(collected_at)`, `bucket(16, device_id)`, `truncate(4, site)`,
 * `tenant_id` -> transform and source path. */
weir_status weir_transform_parse(struct weir_arena *arena, const char *text, char **ret_transform,
                                 char **ret_source_path, char **ret_name,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
