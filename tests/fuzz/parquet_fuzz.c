/* libFuzzer: any bytes as a Parquet file. Both readers must answer with a status, whatever the
 * footer and the pages say, and take no more memory than their account allows: the old one with a
 * schema of ours, the scan reader with the file's own, with predicates, with columns that come late
 * and with deleted rows. Seeds: `parquet_sample` files, and pyarrow's without checksums. */
#include "formats/parquet/scan.h"
#include "tests/unit/parquet/file.h"

#define ROWS_MAX 5000 /* a few bytes may stand for many rows */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_ours(struct weir_account *account, struct weir_buffer *file,
                      const struct weir_type *schema)
{
    struct weir_parquet_reader *reader = NULL;
    struct weir_error error;
    struct weir_arena arena;
    uint64_t rows = 0;
    weir_arena_init(&arena, account);
    weir_status status = weir_parquet_reader_new(account, file_source(file), schema, &reader,
                                                 &error);
    while (status == WEIR_OK && rows < ROWS_MAX) {
        struct weir_batch batch;
        weir_arena_reset(&arena);
        status = weir_parquet_reader_next(reader, 100, &arena, &batch, &error);
        if (status != WEIR_OK || batch.count == 0)
            break;
        rows += batch.count;
    }
    weir_parquet_reader_free(reader);
    weir_arena_done(&arena);
}

static weir_status every_third(void *self, const struct weir_batch *batch, struct weir_arena *arena,
                               struct weir_selection *ret_selection, struct weir_error *reterr)
{
    uint32_t *rows, count = 0, step = *(const uint8_t *)self % 5 + 1;
    WEIR_TRY(weir_arena_alloc(arena, (size_t)batch->count * 4 + 4, &rows, reterr));
    for (uint32_t i = 0; i < batch->count; i += step)
        rows[count++] = i;
    *ret_selection = (struct weir_selection){step > 4 ? 0 : count, rows};
    return WEIR_OK;
}

static void drop_some(void *self, uint64_t first, uint32_t count, uint8_t *bits)
{
    for (uint32_t i = 0; i < count; i++)
        if ((first + i) % 50 < *(const uint8_t *)self % 64)
            weir_bit_clear(bits, i);
}

/* Looks at every byte that a batch says it has: the sanitizer tells what is not there. */
static uint64_t look(const struct weir_vector *vector)
{
    uint64_t sum = 0;
    if (vector->kind == WEIR_DICTIONARY) {
        for (uint32_t i = 0; i < vector->count; i++)
            if (weir_vector_valid(vector, i))
                sum += (uint64_t)vector->dictionary->offsets[vector->indices[i] + 1];
        return sum;
    }
    uint32_t count = vector->kind == WEIR_CONSTANT ? 1 : vector->count,
             width = weir_type_width(vector->type);
    const uint8_t *values = vector->values;
    for (uint32_t i = 0; vector->validity && i < count; i++)
        sum += weir_bit_get(vector->validity, i);
    for (size_t i = 0; i < (size_t)count * width; i++)
        sum += values[i];
    if (vector->offsets)
        for (uint32_t i = 0; i < count; i++)
            if (vector->offsets[i + 1] < vector->offsets[i])
                abort();
    if (vector->offsets && values && vector->type->child_count == 0)
        for (int32_t i = 0; i < vector->offsets[count]; i++)
            sum += values[i];
    for (uint32_t i = 0; i < vector->type->child_count; i++)
        sum += look(&vector->children[i]);
    return sum;
}

static void read_group(struct weir_account *account, const struct weir_parquet_file *file,
                       size_t group, const struct weir_parquet_read *read)
{
    struct weir_parquet_cursor *cursor = NULL;
    struct weir_error error;
    struct weir_arena arena;
    uint64_t rows = 0;
    bool end = false;
    weir_arena_init(&arena, account);
    weir_status status = weir_parquet_cursor_open(account, file, group, read, &cursor, &error);
    while (status == WEIR_OK && cursor && !end && rows < ROWS_MAX) {
        struct weir_batch batch;
        weir_arena_reset(&arena);
        status = weir_parquet_cursor_next(cursor, &arena, &batch, &end, &error);
        if (status != WEIR_OK || end)
            break;
        rows += batch.count;
        for (uint32_t i = 0; i < batch.type->child_count; i++)
            look(&batch.columns[i]);
    }
    weir_parquet_cursor_free(cursor);
    weir_arena_done(&arena);
}

/* A predicate on each primitive column of the file, of a value out of the input. */
static size_t make_predicates(const struct weir_type *type, const uint8_t *seed,
                              struct weir_arena *arena, struct weir_predicate *predicates,
                              size_t most)
{
    size_t count = 0;
    for (uint32_t i = 0; i < type->child_count && count < most; i++) {
        const struct weir_type *column = &type->children[i].type;
        struct weir_predicate *predicate = &predicates[count];
        struct weir_error error;
        if (weir_type_is_nested(column->id) || weir_type_width(column) > 16)
            continue;
        *predicate = (struct weir_predicate){
            .kind = (enum weir_predicate_kind)(seed[0] % 8), .path = {i}, .path_size = 1};
        sample_must(weir_vector_make(arena, column, 1, 16, &predicate->value, &error), &error);
        predicate->value.count = 1;
        uint32_t width = weir_type_width(column);
        memcpy(predicate->value.values, seed, width ? width : 1);
        if (predicate->value.offsets)
            predicate->value.offsets[1] = 1;
        count++;
    }
    return count;
}

static void read_own(struct weir_account *account, struct weir_buffer *bytes)
{
    struct weir_parquet_file *file;
    struct weir_error error;
    struct weir_arena arena;
    uint8_t needs[64], seed[16] = {0};
    struct weir_predicate predicates[4];
    if (weir_parquet_file_open(account, file_source(bytes), &file, &error) != WEIR_OK)
        return;
    weir_arena_init(&arena, account);
    memcpy(seed, bytes->data + bytes->size / 2, bytes->size / 2 < 16 ? bytes->size / 2 : 16);
    const struct weir_type *type = weir_parquet_file_type(file);
    memset(needs, seed[1], sizeof needs);
    struct weir_scan_filter filter = {every_third, seed + 2, needs};
    struct weir_row_filter rows = {drop_some, seed + 3};
    struct weir_parquet_read read = {
        .wanted = type, .batch_rows = 1 + seed[4] * 7u, .predicates = predicates};
    if (seed[5] & 1)
        read.predicate_count = make_predicates(type, seed, &arena, predicates, 4);
    if (seed[5] & 2 && type->child_count < 512)
        read.filter = &filter;
    if (seed[5] & 4)
        read.rows = &rows;
    for (size_t i = 0; i < weir_parquet_file_group_count(file) && i < 20; i++)
        read_group(account, file, i, &read);
    weir_arena_done(&arena);
    weir_parquet_file_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_account account;
    static struct weir_arena types;
    static struct weir_type *schema;
    struct weir_error error;
    if (!schema) {
        weir_account_init(&account, NULL, "fuzz", (size_t)64 << 20);
        weir_arena_init(&types, &account);
        schema = sample_schema(&types);
    }
    struct weir_buffer file = {.account = &account};
    size_t before = account.used;
    sample_must(weir_buffer_append(&file, data, size, &error), &error);
    read_ours(&account, &file, schema);
    read_own(&account, &file);
    weir_buffer_done(&file);
    if (account.used != before)
        abort();
    return 0;
}
