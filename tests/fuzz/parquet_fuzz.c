/* libFuzzer: any bytes as a Parquet file. Both readers must answer with a status, whatever the
 * footer and the pages say, and take no more memory than their account allows: the old one with a
 * schema of ours, the scan reader with the file's own - pruned and widened - with predicates, with
 * columns that come late, with deleted rows, with a pool, as a table, and with too little memory.
 *
 * An input that does not end with PAR1 is a file and eight bytes that say how to read it. The
 * mutator changes the body in place, so that offsets stay true, and lets the footer grow.
 * Seeds: parquet_seeds.py. */
#include "formats/parquet/scan.h"
#include "tests/unit/parquet/file.h"

#include "engine/base/context.h"

#define ROWS_MAX   5000 /* a few bytes may stand for many rows */
#define WAYS       8    /* bytes behind a file that say how it is read */
#define LIMIT_MOST ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum way { /* bits of ways[5] */
           WAY_PREDICATES = 1,
           WAY_FILTER = 2,
           WAY_DELETED = 4,
           WAY_POOL = 8,
           WAY_PRUNED = 16,
           WAY_WIDER = 32,
           WAY_TABLE = 64,
           WAY_SHORT = 128 /* of memory */
};

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

/* The columns of the file with every second left out, or of wider types, and the row's number. */
static weir_status make_wanted(const struct weir_type *type, const uint8_t *ways,
                               struct weir_arena *arena, struct weir_type *ret_wanted,
                               struct weir_error *reterr)
{
    uint32_t kept = 0;
    WEIR_TRY(weir_type_copy(arena, type, ret_wanted, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        struct weir_field *field = &ret_wanted->children[i];
        if ((ways[5] & WAY_PRUNED) && (i + ways[6]) % 2)
            continue;
        if ((ways[5] & WAY_PRUNED) && field->type.id == WEIR_STRUCT && field->type.child_count > 1)
            field->type.child_count = 1;
        if ((ways[5] & WAY_WIDER) && field->type.id == WEIR_INT)
            field->type.id = WEIR_LONG;
        else if ((ways[5] & WAY_WIDER) && field->type.id == WEIR_FLOAT)
            field->type.id = WEIR_DOUBLE;
        else if ((ways[5] & WAY_WIDER) && field->type.id == WEIR_DATE)
            field->type.id = WEIR_TIMESTAMP;
        else if ((ways[5] & WAY_WIDER) && field->type.id == WEIR_DECIMAL)
            field->type.precision = 38;
        if ((ways[5] & WAY_WIDER) && field->type.id == WEIR_LONG && i == ways[7])
            field->id = WEIR_PARQUET_POSITION_ID;
        ret_wanted->children[kept++] = *field;
    }
    ret_wanted->child_count = kept;
    return WEIR_OK;
}

static void read_statistics(const struct weir_parquet_file *file, struct weir_arena *arena)
{
    const struct weir_type *type = weir_parquet_file_type(file);
    for (uint32_t i = 0; i < type->child_count && i < 20; i++) {
        struct weir_parquet_statistics statistics;
        if (weir_type_is_nested(type->children[i].type.id) ||
            weir_parquet_file_statistics(file, 0, &i, 1, arena, &statistics, NULL) != WEIR_OK)
            continue;
        if (statistics.has_lower)
            look(&statistics.lower);
        if (statistics.has_upper)
            look(&statistics.upper);
    }
}

static weir_status read_morsels(struct weir_table_source source, struct weir_context *context,
                                struct weir_account *account,
                                const struct weir_scan_request *request, struct weir_scan **scan)
{
    uint64_t rows = 0;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, account);
    WEIR_TRY(source.operations->open(source.self, context, account, request, scan, NULL));
    size_t count = source.operations->morsel_count(*scan);
    for (size_t i = 0; i < count && rows < ROWS_MAX; i++) {
        struct weir_morsel *morsel = NULL;
        struct weir_batch batch;
        bool end = false;
        weir_status status = source.operations->morsel_open(*scan, i, &morsel, NULL);
        while (status == WEIR_OK && morsel && rows < ROWS_MAX) {
            weir_arena_reset(&arena);
            status = source.operations->morsel_next(morsel, &arena, &batch, &end, NULL);
            if (status != WEIR_OK || end)
                break;
            rows += batch.count;
            for (uint32_t c = 0; c < batch.type->child_count; c++)
                look(&batch.columns[c]);
        }
        source.operations->morsel_close(morsel);
        WEIR_TRY(status);
    }
    return WEIR_OK;
}

/* The file as a table; it takes the file over. */
static void read_table(struct weir_account *account, struct weir_parquet_file *file,
                       const struct weir_parquet_read *read)
{
    static struct weir_context context;
    struct weir_table_source source;
    struct weir_scan *scan = NULL;
    if (context.thread_count == 0)
        weir_context_init(&context);
    context.thread_count = 1;
    if (weir_parquet_table_source(&context, account, &file, 1, &source, NULL) != WEIR_OK) {
        weir_parquet_file_free(file);
        return;
    }
    struct weir_scan_request request = {.wanted = read->wanted,
                                        .predicates = read->predicates,
                                        .predicate_count = read->predicate_count,
                                        .filter = read->filter,
                                        .batch_rows = read->batch_rows,
                                        .limit = -1};
    (void)!read_morsels(source, &context, account, &request, &scan);
    source.operations->close(scan);
    source.operations->free(source.self);
}

static void read_groups(struct weir_account *account, struct weir_parquet_file *file,
                        const uint8_t *ways)
{
    struct weir_predicate predicates[4];
    struct weir_parquet_pool *pool = NULL;
    struct weir_type wanted;
    struct weir_arena arena;
    uint8_t needs[64], step[2] = {ways[2], ways[3]};
    const struct weir_type *type = weir_parquet_file_type(file);
    memset(needs, ways[1], sizeof needs);
    struct weir_scan_filter filter = {every_third, step, needs};
    struct weir_row_filter rows = {drop_some, step + 1};
    struct weir_parquet_read read = {
        .wanted = &wanted, .batch_rows = 1 + ways[4] * 7u, .predicates = predicates};
    weir_arena_init(&arena, account);
    if (type->child_count < 512 && make_wanted(type, ways, &arena, &wanted, NULL) == WEIR_OK) {
        if (ways[5] & WAY_PREDICATES)
            read.predicate_count = make_predicates(&wanted, ways, &arena, predicates, 4);
        if (ways[5] & WAY_FILTER)
            read.filter = &filter;
        if (ways[5] & WAY_DELETED)
            read.rows = &rows;
        if ((ways[5] & WAY_POOL) && weir_parquet_pool_new(account, &pool, NULL) == WEIR_OK)
            read.pool = pool;
        for (size_t i = 0; i < weir_parquet_file_group_count(file) && i < 20; i++)
            read_group(account, file, i, &read);
        if (weir_parquet_file_group_count(file) > 0)
            read_statistics(file, &arena);
        if (ways[5] & WAY_TABLE) {
            read_table(account, file, &read);
            file = NULL;
        }
    }
    weir_parquet_pool_free(pool);
    weir_arena_done(&arena);
    weir_parquet_file_free(file);
}

static void read_own(struct weir_account *account, struct weir_buffer *bytes, const uint8_t *ways)
{
    struct weir_parquet_file *file;
    struct weir_error error;
    if (ways[5] & WAY_SHORT)
        account->limit = account->used + ((size_t)ways[0] << (ways[6] % 12));
    if (weir_parquet_file_open(account, file_source(bytes), &file, &error) == WEIR_OK)
        read_groups(account, file, ways);
    account->limit = LIMIT_MOST;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_account account;
    static struct weir_arena types;
    static struct weir_type *schema;
    struct weir_error error;
    uint8_t ways[16] = {0};
    if (!schema) {
        weir_account_init(&account, NULL, "fuzz", LIMIT_MOST);
        weir_arena_init(&types, &account);
        schema = sample_schema(&types);
    }
    if (size >= WAYS + 4 && memcmp(data + size - 4, "PAR1", 4) != 0) {
        size -= WAYS;
        memcpy(ways, data + size, WAYS);
    }
    memcpy(ways + WAYS, data + size / 2, size / 2 < WAYS ? size / 2 : WAYS);
    struct weir_buffer file = {.account = &account};
    size_t before = account.used;
    sample_must(weir_buffer_append(&file, data, size, &error), &error);
    if (!(ways[5] & ~WAY_PREDICATES))
        read_ours(&account, &file, schema);
    read_own(&account, &file, ways);
    weir_buffer_done(&file);
    if (account.used != before)
        abort();
    return 0;
}

/* A place of `size` bytes is changed and stays as long as it is. */
static void change_in_place(uint8_t *data, size_t size, unsigned seed)
{
    uint8_t piece[32];
    size_t at = seed % size, length = size - at < 16 ? size - at : 1 + seed / 7 % 16;
    length = length < 1 ? 1 : length;
    memcpy(piece, data + at, length);
    LLVMFuzzerMutate(piece, length, length);
    memcpy(data + at, piece, length);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size_t file = size;
    uint32_t footer;
    if (size >= WAYS + 12 && memcmp(data + size - 4, "PAR1", 4) != 0)
        file -= WAYS;
    if (file < 12 || memcmp(data + file - 4, "PAR1", 4) != 0 || seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, most);
    memcpy(&footer, data + file - 8, 4);
    if (footer == 0 || footer > file - 12)
        return LLVMFuzzerMutate(data, size, most);
    size_t body = file - 8 - footer, tail = size - file + 8;
    unsigned what = seed % 8, rest = seed / 8;
    if (what == 7 && file == size && size + WAYS <= most) {
        for (size_t i = 0; i < WAYS; i++)
            data[size + i] = (uint8_t)(rest >> (i * 3));
        return size + WAYS;
    }
    if (what >= 6 && file < size) {
        change_in_place(data + file, WAYS, rest);
    } else if (what < 3 && body > 4) {
        change_in_place(data + 4, body - 4, rest);
    } else if (what < 5 || size + 64 > most) {
        change_in_place(data + body, footer, rest);
    } else {
        uint8_t kept[WAYS + 8];
        memcpy(kept, data + size - tail, tail);
        footer = (uint32_t)LLVMFuzzerMutate(data + body, footer, footer + 64);
        memcpy(kept, &footer, 4);
        memcpy(data + body + footer, kept, tail);
        return body + footer + tail;
    }
    return size;
}
