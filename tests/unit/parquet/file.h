/* Parquet files in memory, written and read back, for the tests of this folder. */
#ifndef WEIR_TESTS_UNIT_PARQUET_FILE_H
#define WEIR_TESTS_UNIT_PARQUET_FILE_H

#include "formats/parquet/parquet.h"
#include "tests/unit/parquet/sample.h"

static inline weir_status file_append(void *self, const void *data, size_t size,
                                      struct weir_error *reterr)
{
    return weir_buffer_append(self, data, size, reterr);
}

static inline weir_status file_read(void *self, uint64_t offset, uint64_t size,
                                    struct weir_buffer *out, struct weir_error *reterr)
{
    const struct weir_buffer *file = self;
    if (offset > file->size || size > file->size - offset)
        return weir_fail(reterr, WEIR_IO, "read beyond the end");
    return weir_buffer_append(out, file->data + offset, size, reterr);
}

static inline struct weir_parquet_source file_source(struct weir_buffer *file)
{
    return (struct weir_parquet_source){file_read, file, file->size};
}

/* All rows as text, read in batches of `step`. */
static inline weir_status file_print(struct weir_account *account, struct weir_buffer *file,
                                     const struct weir_type *wanted, uint32_t step, char **ret_text,
                                     size_t *ret_size, struct weir_error *reterr)
{
    struct weir_parquet_reader *reader = NULL;
    struct weir_arena arena;
    FILE *out = open_memstream(ret_text, ret_size);
    weir_arena_init(&arena, account);
    weir_status status = weir_parquet_reader_new(account, file_source(file), wanted, &reader,
                                                 reterr);
    while (status == WEIR_OK) {
        struct weir_batch batch;
        weir_arena_reset(&arena);
        status = weir_parquet_reader_next(reader, step, &arena, &batch, reterr);
        if (status != WEIR_OK || batch.count == 0)
            break;
        for (uint32_t i = 0; i < batch.count; i++)
            sample_print_row(&batch, i, out);
    }
    weir_parquet_reader_free(reader);
    weir_arena_done(&arena);
    fclose(out);
    return status;
}

#endif
