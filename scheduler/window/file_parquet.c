/* Parquet files to runs of rows, row group by row group. A row's place is its number in the file,
 * from 0. */
#include "scheduler/window/file_int.h"

#include "engine/base/limits.h"
#include "formats/parquet/scan.h"

static weir_status read_bytes(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    struct file_reading *reading = self;
    reading->window->bytes += (int64_t)size;
    return weir_file_read_at(reading->file, offset, size, out, reterr);
}

static weir_status read_group(struct file_reading *reading, const struct weir_parquet_file *file,
                              size_t group, const struct weir_parquet_read *read,
                              struct weir_error *reterr)
{
    struct weir_account *account = reading->window->arena.account;
    struct weir_parquet_cursor *cursor;
    struct weir_arena arena;
    int64_t row = (int64_t)weir_parquet_file_group_first(file, group);
    WEIR_TRY(weir_parquet_cursor_open(account, file, group, read, &cursor, reterr));
    weir_status status = WEIR_OK;
    weir_arena_init(&arena, account);
    for (bool end = !cursor; status == WEIR_OK && !end;) {
        struct weir_batch batch;
        weir_arena_reset(&arena);
        status = weir_parquet_cursor_next(cursor, &arena, &batch, &end, reterr);
        if (status == WEIR_OK && !end) {
            status = file_add_rows(reading, row, &batch, reterr);
            row += batch.count;
        }
    }
    weir_arena_done(&arena);
    weir_parquet_cursor_free(cursor);
    return status;
}

static weir_status read_groups(struct file_reading *reading, const struct weir_parquet_file *file,
                               struct weir_error *reterr)
{
    struct file_window *window = reading->window;
    struct weir_layout layout;
    WEIR_TRY(layout_parquet(&window->arena, window->options->table, &window->table->shape.decode,
                            weir_parquet_file_type(file), &layout, reterr));
    WEIR_TRY(file_set_layout(reading, &layout, reterr));
    struct weir_parquet_read read = {.wanted = &reading->layout->wanted,
                                     .names = &reading->layout->names,
                                     .batch_rows = WEIR_BATCH_ROWS};
    for (size_t group = 0; group < weir_parquet_file_group_count(file); group++)
        WEIR_TRY(read_group(reading, file, group, &read, reterr));
    return WEIR_OK;
}

weir_status file_read_parquet(struct file_reading *reading, struct weir_error *reterr)
{
    struct weir_parquet_source source = {read_bytes, reading, weir_file_size(reading->file)};
    struct weir_parquet_file *file;
    WEIR_TRY(weir_parquet_file_open(reading->window->arena.account, source, &file, reterr));
    weir_status status = read_groups(reading, file, reterr);
    weir_parquet_file_free(file);
    return status;
}
