/* Between land.c and difference.c. Private to the room. */
#ifndef WEIR_SCHEDULER_COMMIT_LAND_INT_H
#define WEIR_SCHEDULER_COMMIT_LAND_INT_H

#include "scheduler/commit/land.h"

weir_status land_get_object(struct weir_lake *lake, const char *location, struct weir_buffer *out,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Live entries of manifests, in their order. Counted by reading: the counts of a manifest list are
 * another writer's word, and those of v1 may be missing. */
weir_status land_read_live(struct weir_lake *lake, struct weir_arena *arena,
                           const struct weir_manifest *manifests, size_t manifest_count,
                           struct weir_manifest_entry **ret_entries, size_t *ret_count,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
