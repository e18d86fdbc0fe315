/* The reader of whole files: cursors one after the other, everything flat. For quarantine, verify,
 * position deletes and tests; SQL uses scan.h. */
#include "formats/parquet/scan_int.h"

struct weir_parquet_reader {
    struct weir_account *account;
    struct weir_parquet_file *file;
    struct weir_parquet_read read;
    struct weir_parquet_cursor *cursor;
    size_t group; /* the next one to open */
};

weir_status weir_parquet_reader_new(struct weir_account *account, struct weir_parquet_source source,
                                    const struct weir_type *wanted,
                                    struct weir_parquet_reader **ret_reader,
                                    struct weir_error *reterr)
{
    struct weir_parquet_reader *self;
    struct weir_arena arena;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *self, &self, reterr));
    self->account = account;
    self->read.wanted = wanted;
    weir_arena_init(&arena, account);
    weir_status status = weir_parquet_file_open(account, source, &self->file, reterr);
    if (status == WEIR_OK)
        status = parquet_read_check(&arena, self->file, &self->read, reterr);
    weir_arena_done(&arena);
    if (status != WEIR_OK)
        weir_parquet_reader_free(self);
    else
        *ret_reader = self;
    return status;
}

void weir_parquet_reader_free(struct weir_parquet_reader *reader)
{
    if (!reader)
        return;
    weir_parquet_cursor_free(reader->cursor);
    weir_parquet_file_free(reader->file);
    weir_free(reader);
}

uint64_t weir_parquet_reader_rows(const struct weir_parquet_reader *reader)
{
    return weir_parquet_file_rows(reader->file);
}

static weir_status make_flat(struct weir_arena *arena, struct weir_batch *batch,
                             struct weir_error *reterr)
{
    for (uint32_t i = 0; i < batch->type->child_count; i++) {
        struct weir_vector vector = batch->columns[i];
        if (vector.kind != WEIR_FLAT)
            WEIR_TRY(weir_vector_gather(arena, &vector, NULL, &batch->columns[i], reterr));
    }
    return WEIR_OK;
}

weir_status weir_parquet_reader_next(struct weir_parquet_reader *reader, uint32_t max_rows,
                                     struct weir_arena *arena, struct weir_batch *ret_batch,
                                     struct weir_error *reterr)
{
    struct weir_batch batch = {.type = reader->read.wanted};
    bool end = false;
    for (;;) {
        if (!reader->cursor && reader->group == weir_parquet_file_group_count(reader->file))
            break;
        if (!reader->cursor)
            WEIR_TRY(weir_parquet_cursor_open(reader->account, reader->file, reader->group++,
                                              &reader->read, &reader->cursor, reterr));
        if (!reader->cursor)
            continue;
        parquet_cursor_batch(reader->cursor, max_rows);
        WEIR_TRY(weir_parquet_cursor_next(reader->cursor, arena, &batch, &end, reterr));
        if (!end)
            break;
        weir_parquet_cursor_free(reader->cursor);
        reader->cursor = NULL;
    }
    if (!batch.columns || end)
        WEIR_TRY(weir_batch_make(arena, batch.type, 0, &batch, reterr));
    WEIR_TRY(make_flat(arena, &batch, reterr));
    *ret_batch = batch;
    return WEIR_OK;
}
