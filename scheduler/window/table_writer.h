/* Rows that a query gives, to data files of a table: by partition value, rolled at a size, with the
 * row hash of all of them. For promotions; windows do the same for records (ingest.h). */
#ifndef WEIR_SCHEDULER_WINDOW_TABLE_WRITER_H
#define WEIR_SCHEDULER_WINDOW_TABLE_WRITER_H

#include "engine/kernel/row_hash.h"
#include "scheduler/commit/land.h"
#include "scheduler/window/shape.h"

/* All pointers outlive the writer. attempt: a random id that every object's name carries. */
struct weir_table_writer_options {
    struct weir_lake *lake;
    const struct weir_table_config *table;
    const struct weir_shape *shape;
    const char *table_location;
    int64_t attempt;
};

struct weir_table_writer;
weir_status weir_table_writer_new(const struct weir_table_writer_options *options,
                                  struct weir_table_writer **ret_writer,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Columns as shape->write has them, by position; vectors of any kind. */
weir_status weir_table_writer_add(struct weir_table_writer *writer, const struct weir_batch *batch,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_table_files { /* lives in the writer */
    const struct weir_data_file *files;
    size_t count;
    char (*digests)[33];
    struct weir_row_hash hash;
    int64_t rows, bytes;
};
weir_status weir_table_writer_finish(struct weir_table_writer *writer,
                                     struct weir_table_files *ret_files,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_table_writer_free(struct weir_table_writer *writer); /* NULL-safe; unfinished files are
                                                                  abandoned, finished ones are
                                                                  litter until committed */

#endif
