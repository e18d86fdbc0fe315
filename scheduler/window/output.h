/* One table file being written: Parquet into an upload, rolled at a size, with its digest and
 * manifest entry. Private to the room. */
#ifndef WEIR_SCHEDULER_WINDOW_OUTPUT_H
#define WEIR_SCHEDULER_WINDOW_OUTPUT_H

#include "formats/parquet/parquet.h"
#include "scheduler/commit/land.h"

struct output_options {
    struct weir_lake *lake;
    const struct weir_type *type; /* what the files hold */
    struct weir_parquet_options parquet;
    uint64_t file_size;          /* roll when written + buffered reach it; 0 = never */
    const char *root_uri_prefix; /* full location of the folder, no '/' at the end */
    int32_t spec_id;
    const struct weir_bytes *partition; /* values for the manifest */
    const char *stem;                   /* names: {stem}-{number:05}.parquet */
    atomic_int *number;                 /* next file number of the stem */
};

struct output; /* files of one partition value */

weir_status output_new(struct weir_arena *arena, const struct output_options *options,
                       struct output **ret_output, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status output_add(struct output *output, const struct weir_batch *batch,
                       const struct weir_selection *selection,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status output_finish(struct output *output, struct weir_error *reterr) WEIR_MUST_CHECK;
void output_abandon(struct output *output); /* NULL-safe, after finish too */
/* Finished files, in order; in the arena. */
size_t output_files(const struct output *output, const struct weir_data_file **ret_files,
                    char (**ret_digests)[33]);

#endif
