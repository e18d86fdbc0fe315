/* Which rows of a batch go to which partition value, and a table's Parquet settings: what windows
 * and promotions share. Private to the room. */
#ifndef WEIR_SCHEDULER_WINDOW_PARTITION_H
#define WEIR_SCHEDULER_WINDOW_PARTITION_H

#include "formats/parquet/parquet.h"
#include "scheduler/window/shape.h"

/* Rows of one batch that share a partition value. */
struct partition_group {
    uint32_t *rows;
    uint32_t count;
    char *folder; /* "collected_at_day=2026-11-23", "" when unpartitioned */
    struct weir_bytes *values;
};

/* Groups in order of first appearance, in the arena. The batch is flat, of shape->write. */
weir_status partition_rows(struct weir_arena *arena, const struct weir_shape *shape,
                           const struct weir_batch *batch, struct partition_group **ret_groups,
                           size_t *ret_count, struct weir_error *reterr) WEIR_MUST_CHECK;

/* Codec, row groups, bloom filters, and which columns go without bounds; in the arena. */
weir_status partition_parquet_options(struct weir_arena *arena,
                                      const struct weir_table_config *table,
                                      const struct weir_shape *shape,
                                      struct weir_parquet_options *ret_options,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
