/* Prints a Parquet file's type and rows, read by the scan reader, as text for parquet_read.py:
 * parquet_rows FILE [BATCH_ROWS [KEEP_OF [DELETE_EVERY]]]. KEEP_OF n: only rows whose number's hash
 * is 0 modulo n, by a filter that looks at the row number alone, so that all other columns are read
 * late. DELETE_EVERY n: rows whose number is 3 modulo n are deleted. */
#include "formats/parquet/scan.h"
#include "tests/unit/parquet/file.h"

#include <stdlib.h>

struct picking {
    uint32_t column;
    int64_t keep_of, delete_every;
};

static weir_status pick(void *self, const struct weir_batch *batch, struct weir_arena *arena,
                        struct weir_selection *ret_selection, struct weir_error *reterr)
{
    const struct picking *picking = self;
    const int64_t *numbers = batch->columns[picking->column].values;
    uint32_t *rows, count = 0;
    WEIR_TRY(weir_arena_alloc(arena, (size_t)batch->count * 4 + 4, &rows, reterr));
    for (uint32_t i = 0; i < batch->count; i++)
        if ((numbers[i] / 3 * 2654435761u >> 7) % picking->keep_of == 0)
            rows[count++] = i;
    *ret_selection = (struct weir_selection){count, rows};
    return WEIR_OK;
}

static void keep(void *self, uint64_t first, uint32_t count, uint8_t *bits)
{
    const struct picking *picking = self;
    for (uint32_t i = 0; i < count; i++)
        if ((first + i) % (uint64_t)picking->delete_every == 3)
            weir_bit_clear(bits, i);
}

static weir_status print_batch(struct weir_arena *arena, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    struct weir_batch flat;
    WEIR_TRY(weir_batch_gather(arena, batch, NULL, &flat, reterr));
    for (uint32_t i = 0; i < flat.count; i++)
        sample_print_row(&flat, i, stdout);
    return WEIR_OK;
}

static weir_status print_group(struct weir_account *account, const struct weir_parquet_file *file,
                               size_t group, const struct weir_parquet_read *read,
                               struct weir_error *reterr)
{
    struct weir_parquet_cursor *cursor = NULL;
    struct weir_arena arena;
    bool end = false;
    weir_arena_init(&arena, account);
    weir_status status = weir_parquet_cursor_open(account, file, group, read, &cursor, reterr);
    while (status == WEIR_OK && cursor && !end) {
        struct weir_batch batch;
        weir_arena_reset(&arena);
        status = weir_parquet_cursor_next(cursor, &arena, &batch, &end, reterr);
        if (status == WEIR_OK && !end)
            status = print_batch(&arena, &batch, reterr);
    }
    weir_parquet_cursor_free(cursor);
    weir_arena_done(&arena);
    return status;
}

static weir_status print_file(struct weir_account *account, struct weir_buffer *bytes,
                              char **options, struct weir_error *reterr)
{
    struct weir_parquet_file *file;
    struct picking picking = {.keep_of = options[1] ? atoll(options[1]) : 0,
                              .delete_every = options[1] && options[2] ? atoll(options[2]) : 0};
    WEIR_TRY(weir_parquet_file_open(account, file_source(bytes), &file, reterr));
    const struct weir_type *type = weir_parquet_file_type(file);
    struct weir_field *fields = calloc(type->child_count + 1, sizeof *fields);
    struct weir_type wanted = {
        .id = WEIR_STRUCT, .child_count = type->child_count + 1, .children = fields};
    memcpy(fields, type->children, type->child_count * sizeof *fields);
    fields[type->child_count] = (struct weir_field){
        .name = "_pos", .id = WEIR_PARQUET_POSITION_ID, .type.id = WEIR_LONG};
    picking.column = type->child_count;
    uint8_t *needs = calloc(1, type->child_count / 8 + 1);
    weir_bit_set(needs, type->child_count);
    struct weir_scan_filter filter = {pick, &picking, needs};
    struct weir_row_filter rows = {keep, &picking};
    struct weir_parquet_read read = {.wanted = &wanted,
                                     .batch_rows = options[0] ? (uint32_t)atoi(options[0]) : 0,
                                     .filter = picking.keep_of ? &filter : NULL,
                                     .rows = picking.delete_every ? &rows : NULL};
    WEIR_AUTO(weir_buffer) text = {.account = account};
    weir_status status = weir_type_print(type, &text, reterr);
    if (status == WEIR_OK)
        printf("%.*s\n", (int)text.size, (char *)text.data);
    for (size_t i = 0; i < weir_parquet_file_group_count(file) && status == WEIR_OK; i++)
        status = print_group(account, file, i, &read, reterr);
    weir_parquet_file_free(file);
    free(fields);
    free(needs);
    return status;
}

int main(int argc, char **argv)
{
    struct weir_account account;
    struct weir_error error = {0};
    char piece[4096], *options[3] = {NULL};
    size_t size;
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    weir_account_init(&account, NULL, "rows", 0);
    WEIR_AUTO(weir_buffer) bytes = {.account = &account};
    if (!file)
        return 2;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        sample_must(weir_buffer_append(&bytes, piece, size, &error), &error);
    fclose(file);
    for (int i = 2; i < argc && i < 5; i++)
        options[i - 2] = argv[i];
    if (print_file(&account, &bytes, options, &error) == WEIR_OK)
        return 0;
    fprintf(stderr, "%s\n", error.text);
    return 1;
}
