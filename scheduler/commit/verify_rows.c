/* The rows themselves, for `verify --deep`: the row hash of every live file, read back, added up.
 * Files may have been rewritten by another engine's compaction: the sum does not change by that,
 * nor by added or widened columns. protocol.md 9. */
#include "formats/parquet/parquet.h"
#include "scheduler/commit/verify_int.h"

struct row_source {
    struct weir_lake *lake;
    const char *name;
};

static weir_status row_source_read(void *self, uint64_t offset, uint64_t size,
                                   struct weir_buffer *out, struct weir_error *reterr)
{
    struct row_source *source = self;
    return source->lake->store.operations->get(source->lake->store.self, source->name, offset, size,
                                               out, NULL, reterr);
}

static weir_status add_rows(struct weir_parquet_reader *reader, struct weir_arena *arena,
                            struct weir_arena *scratch, struct weir_row_hash *hash,
                            struct weir_error *reterr)
{
    for (;;) {
        struct weir_batch batch;
        weir_arena_reset(arena);
        weir_arena_reset(scratch);
        WEIR_TRY(weir_parquet_reader_next(reader, WEIR_BATCH_ROWS, arena, &batch, reterr));
        if (batch.count == 0)
            return WEIR_OK;
        WEIR_TRY(weir_row_hash_add(hash, &batch, NULL, scratch, reterr));
    }
}

weir_status verify_file_rows(struct weir_lake *lake, const struct weir_schema *schema,
                             const char *name, uint64_t size, struct weir_row_hash *hash,
                             struct weir_error *reterr)
{
    struct row_source source = {lake, name};
    struct weir_parquet_reader *reader;
    struct weir_arena arena, scratch;
    WEIR_TRY(weir_parquet_reader_new(&lake->context->memory,
                                     (struct weir_parquet_source){row_source_read, &source, size},
                                     &schema->root, &reader, reterr));
    weir_arena_init(&arena, &lake->context->memory);
    weir_arena_init(&scratch, &lake->context->memory);
    weir_status status = add_rows(reader, &arena, &scratch, hash, reterr);
    weir_arena_done(&scratch);
    weir_arena_done(&arena);
    weir_parquet_reader_free(reader);
    return status;
}
