/* Which files of a table are to be put together, told from manifests alone. Private to the room. */
#ifndef WEIR_SCHEDULER_UPKEEP_COMPACT_PLAN_H
#define WEIR_SCHEDULER_UPKEEP_COMPACT_PLAN_H

#include "formats/iceberg/manifest.h"

struct compact_rules {
    const struct weir_partition_spec *specs; /* all of the table */
    size_t spec_count;
    int32_t spec_id; /* the present one: files of another are written anew */
    uint64_t target; /* bytes of a file; one below three quarters of it is small */
    int64_t small_files;
    bool all; /* whatever can be put together, not only what is due */
    /* Files of a partition are put together by the lower bound of this leaf, if it is not 0, else
     * in the order in which they were written. */
    int32_t order_id;
    const struct weir_type *order_type;
};

/* Files that become new ones together; of one partition value of one spec, in order. */
struct compact_group {
    const struct weir_manifest_entry **files;
    size_t count;
    int64_t bytes, rows;
    bool deletes; /* delete files apply to some of them */
};

struct compact_plan {
    struct compact_group *groups;
    size_t count;
    int64_t debt; /* files of all groups */
};

/* entries: live ones of a snapshot, data and delete files; kept by the plan, which is in the arena.
 */
weir_status compact_plan_make(struct weir_arena *arena, const struct weir_manifest_entry *entries,
                              size_t count, const struct compact_rules *rules,
                              struct compact_plan *ret_plan,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* Delete files that apply to no data file but those of `groups`. Texts of the entries. */
weir_status compact_plan_spent(struct weir_arena *arena, const struct weir_manifest_entry *entries,
                               size_t count, const struct compact_rules *rules,
                               const struct compact_group *groups, size_t group_count,
                               const char ***ret_paths, size_t *ret_count,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
