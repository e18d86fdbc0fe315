/* Between land.c, land_manifests.c and difference.c. Private to the room. */
#ifndef WEIR_SCHEDULER_COMMIT_LAND_INT_H
#define WEIR_SCHEDULER_COMMIT_LAND_INT_H

#include "scheduler/commit/land.h"

/* One attempt: its ids, names and lists. */
struct attempt {
    struct weir_arena arena;
    struct weir_lake *lake;
    const struct weir_table *table;
    const struct weir_work *work;
    struct weir_snapshot parent;
    bool has_parent;
    int64_t id, sequence, timestamp_ms;
    int64_t base_epoch;
    json_t *state, *summary;
    struct weir_manifest *manifests;
    size_t manifest_count;
    int64_t added_files, added_rows, added_bytes, removed_files, removed_rows, removed_deletes,
        total_files, total_rows, total_deletes;
    const char **removed; /* the work's, sorted */
    bool lost;            /* the head has not what the work was computed from */
    char receipt[512], receipt_digest[33], list[1024];
    struct weir_commit commit;
};
/* Fills manifests and counts of an attempt whose ids and base are set; writes the new manifests, or
 * says that it is lost. */
weir_status land_manifests(struct attempt *attempt, struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status land_get_object(struct weir_lake *lake, const char *location, struct weir_buffer *out,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Live entries of manifests, in their order. Counted by reading: the counts of a manifest list are
 * another writer's word, and those of v1 may be missing. */
weir_status land_read_live(struct weir_lake *lake, struct weir_arena *arena,
                           const struct weir_manifest *manifests, size_t manifest_count,
                           struct weir_manifest_entry **ret_entries, size_t *ret_count,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* All entries of a manifest, those of files that left too. */
weir_status land_read_entries(struct weir_lake *lake, struct weir_arena *arena,
                              const struct weir_manifest *manifest,
                              struct weir_manifest_entry **ret_entries, size_t *ret_count,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* rewritten.c. Takes files out of a difference that our own compactions between the two snapshots
 * only put together: rows that both have. */
weir_status land_without_moves(struct weir_lake *lake, const struct weir_metadata *metadata,
                               int64_t from, int64_t to, struct weir_arena *arena,
                               struct weir_difference *difference,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
